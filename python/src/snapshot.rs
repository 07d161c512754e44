//! `Snapshot`: what a tracker knows at a moment, as bytes and as a dict.

use std::time::Duration;

use incarnation::{Claim, Record, Status, ToKey};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::fork::detached;
use crate::key::{Key, NodeRef};
use crate::number;
use crate::status;

/// What a tracker knew at a moment: a row for each node, with the age of its state.
///
/// Made by `IncarnationTracker.snapshot`, `from_bytes` or `from_dict`; taken over by
/// `IncarnationTracker.merge`. The bytes carry a version and a checksum, and are those of a Rust tracker
/// whose nodes are texts `host:port`.
#[pyclass(name = "Snapshot", module = "incarnation", frozen, eq)]
#[derive(PartialEq)]
pub struct Snapshot(pub incarnation::Snapshot<Key>);

#[pymethods]
impl Snapshot {
    /// The snapshot as bytes.
    fn to_bytes(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        detached(py, || self.0.encode()).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Reads what `to_bytes` made. ValueError if it is anything else.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        detached(py, || incarnation::Snapshot::decode(bytes))
            .map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The snapshot as a dict: {'nodes': [{'node', 'status', 'incarnation', 'age'}], 'tombstones': [...]},
    /// ages in seconds.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let rows = |records: &[Record<Key>]| -> PyResult<Bound<'py, PyList>> {
            let rows = PyList::empty(py);
            for record in records {
                let row = PyDict::new(py);
                row.set_item("node", record.node().tuple(py)?.clone_ref(py))?;
                row.set_item("status", status::to_python(py, record.status()))?;
                row.set_item("incarnation", record.incarnation().get())?;
                row.set_item("age", number::seconds_in(record.age()))?;
                rows.append(row)?;
            }
            Ok(rows)
        };
        let snapshot = PyDict::new(py);
        snapshot.set_item("nodes", rows(self.0.nodes())?)?;
        snapshot.set_item("tombstones", rows(self.0.tombstones())?)?;
        Ok(snapshot)
    }

    /// Reads what `to_dict` made. `tombstones` may be missing, and so may ages, which are 0 then.
    #[staticmethod]
    fn from_dict(snapshot: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut lists = [Vec::new(), Vec::new()];
        for (name, records) in ["nodes", "tombstones"].into_iter().zip(&mut lists) {
            let Some(rows) = snapshot.get_item(name)? else {
                if name == "nodes" {
                    return Err(PyValueError::new_err("the snapshot has no 'nodes'"));
                }
                continue;
            };
            for row in rows.try_iter()? {
                let row = row?;
                let Ok(row) = row.cast::<PyDict>() else {
                    return Err(PyTypeError::new_err(format!(
                        "a row of a snapshot must be a dict, got {}",
                        number::type_name(&row)
                    )));
                };
                records.push(record(row)?);
            }
        }
        let [nodes, tombstones] = lists;
        incarnation::Snapshot::new(nodes, tombstones)
            .map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The same snapshot when so many seconds have passed.
    fn aged(&self, by: &Bound<'_, PyAny>) -> PyResult<Self> {
        let by = number::duration(by, "by")?;
        Ok(Self(self.0.clone().aged(by)))
    }

    fn __len__(&self) -> usize {
        self.0.nodes().len()
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    fn __repr__(&self) -> String {
        format!(
            "<Snapshot: {} nodes, {} tombstones>",
            self.0.nodes().len(),
            self.0.tombstones().len()
        )
    }
}

fn record(row: &Bound<'_, PyDict>) -> PyResult<Record<Key>> {
    let part = |name: &str| {
        row.get_item(name)?
            .ok_or_else(|| PyValueError::new_err(format!("a row of the snapshot has no {name:?}")))
    };
    let node = part("node")?;
    let node = match NodeRef::of(node.as_borrowed()) {
        Ok(named) => named.to_key(),
        Err(reason) => return Err(reason.error(&node)),
    };
    let status: Status = status::of_python(&part("status")?, "status")?;
    let number = part("incarnation")?;
    let incarnation = number::incarnation(&number, "incarnation")?.storable("incarnation")?;
    let age = match row.get_item("age")? {
        None => Duration::ZERO,
        Some(age) => number::duration(&age, "age")?,
    };
    Record::new(node, Claim::new(status, incarnation), age)
        .ok_or_else(|| PyValueError::new_err("incarnation is higher than any table stores"))
}

//! `NodeState`: a copy of what the table holds of a node.

use std::sync::{Mutex, MutexGuard, PoisonError};

use incarnation::{Claim, Status};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::number::{self, seconds_of};
use crate::status;

/// The state of a node: its status, its incarnation, and the time of the update that set them.
///
/// A copy: changing it changes nothing in a tracker, and it does not follow the tracker.
#[pyclass(name = "NodeState", module = "incarnation", frozen, freelist = 64)]
pub struct NodeState(Mutex<Fields>);

/// Held for a moment only, and never while Python code runs.
#[derive(Clone, Copy, PartialEq)]
struct Fields {
    status: Status,
    incarnation: u64,
    last_update_time: f64,
}

impl NodeState {
    #[inline]
    pub fn of(state: incarnation::NodeState) -> Self {
        Self(Mutex::new(Fields {
            status: state.status,
            incarnation: state.incarnation.get(),
            last_update_time: seconds_of(state.last_update),
        }))
    }

    /// What a claim says, at time 0.
    pub fn of_claim(claim: Claim) -> Self {
        Self(Mutex::new(Fields {
            status: claim.status(),
            incarnation: claim.incarnation().get(),
            last_update_time: 0.0,
        }))
    }

    /// What it says, as a claim, and when it came about.
    pub fn claim(&self) -> (Claim, f64) {
        let fields = *self.fields();
        (
            Claim::new(fields.status, fields.incarnation),
            fields.last_update_time,
        )
    }

    fn fields(&self) -> MutexGuard<'_, Fields> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl NodeState {
    #[new]
    #[pyo3(signature = (status = None, incarnation = None, last_update_time = 0.0))]
    fn new(
        status: Option<&Bound<'_, PyAny>>,
        incarnation: Option<&Bound<'_, PyAny>>,
        last_update_time: f64,
    ) -> PyResult<Self> {
        Ok(Self(Mutex::new(Fields {
            status: match status {
                None => Status::Alive,
                Some(status) => status::of_python(status, "status")?,
            },
            incarnation: match incarnation {
                None => 0,
                Some(number) => {
                    number::incarnation(number, "incarnation")?.storable("incarnation")?
                }
            },
            last_update_time,
        })))
    }

    /// The status, as bytes: b'UNCONFIRMED', b'OK', b'SUSPECT', b'DEAD' or b'LEFT'.
    #[getter]
    fn get_status(&self, py: Python<'_>) -> Py<PyBytes> {
        let status = self.fields().status;
        status::to_python(py, status)
    }

    #[setter]
    fn set_status(&self, status: &Bound<'_, PyAny>) -> PyResult<()> {
        let status = status::of_python(status, "status")?;
        self.fields().status = status;
        Ok(())
    }

    /// The incarnation.
    #[getter]
    fn get_incarnation(&self) -> u64 {
        self.fields().incarnation
    }

    #[setter]
    fn set_incarnation(&self, incarnation: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = number::incarnation(incarnation, "incarnation")?.storable("incarnation")?;
        self.fields().incarnation = number;
        Ok(())
    }

    /// When the state was set, in seconds of the caller's clock.
    #[getter]
    fn get_last_update_time(&self) -> f64 {
        self.fields().last_update_time
    }

    #[setter]
    fn set_last_update_time(&self, seconds: f64) {
        self.fields().last_update_time = seconds;
    }

    /// The same as `last_update_time`.
    #[getter]
    fn get_last_seen(&self) -> f64 {
        self.fields().last_update_time
    }

    /// Takes over a higher incarnation, or a higher status at the same incarnation (UNCONFIRMED, OK,
    /// SUSPECT, DEAD, LEFT, in this order). A suspicion of an UNCONFIRMED node at the same incarnation
    /// is refused. Returns whether the state changed.
    #[pyo3(signature = (new_status, new_incarnation, timestamp))]
    fn update(
        &self,
        new_status: &Bound<'_, PyAny>,
        new_incarnation: &Bound<'_, PyAny>,
        timestamp: f64,
    ) -> PyResult<bool> {
        let status = status::of_python(new_status, "new_status")?;
        let incarnation =
            number::incarnation(new_incarnation, "new_incarnation")?.storable("new_incarnation")?;
        let mut fields = self.fields();
        let is_refused = incarnation == fields.incarnation
            && (fields.status, status) == (Status::Unconfirmed, Status::Suspect);
        let is_newer = (incarnation, status) > (fields.incarnation, fields.status) && !is_refused;
        if is_newer {
            *fields = Fields {
                status,
                incarnation,
                last_update_time: timestamp,
            };
        }
        Ok(is_newer)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<NodeState>() else {
            return Ok(py.NotImplemented());
        };
        let (mine, theirs) = (*self.fields(), *other.get().fields());
        Ok((mine == theirs)
            .into_pyobject(py)?
            .to_owned()
            .into_any()
            .unbind())
    }

    fn __hash__(&self) -> PyResult<isize> {
        Err(PyTypeError::new_err("unhashable type: 'NodeState'"))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = *self.fields();
        let time = fields.last_update_time.into_pyobject(py)?.repr()?;
        let status = String::from_utf8_lossy(status::name(fields.status));
        Ok(format!(
            "NodeState(status=b'{status}', incarnation={}, last_update_time={time})",
            fields.incarnation,
        ))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, (Py<PyBytes>, u64, f64)) {
        let py = slf.py();
        let fields = *slf.get().fields();
        let content = (
            status::to_python(py, fields.status),
            fields.incarnation,
            fields.last_update_time,
        );
        (slf.get_type().into_any(), content)
    }
}

//! Statuses as the original writes them: bytes.

use incarnation::Status;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::number::type_name;
use crate::statics;

/// How a status is written.
pub const fn name(status: Status) -> &'static [u8] {
    match status {
        Status::Unconfirmed => b"UNCONFIRMED",
        Status::Alive => b"OK",
        Status::Suspect => b"SUSPECT",
        Status::Dead => b"DEAD",
        Status::Left => b"LEFT",
    }
}

/// The status as a Python object: one object for each status.
#[inline]
pub fn to_python(py: Python<'_>, status: Status) -> Py<PyBytes> {
    statics::get().statuses[usize::from(status.rank() - 1)].clone_ref(py)
}

/// The status that bytes name. `JOIN` is `OK` under another name.
#[inline]
pub fn of_bytes(bytes: &[u8]) -> Option<Status> {
    Some(match bytes {
        b"OK" | b"JOIN" => Status::Alive,
        b"SUSPECT" => Status::Suspect,
        b"DEAD" => Status::Dead,
        b"UNCONFIRMED" => Status::Unconfirmed,
        b"LEFT" => Status::Left,
        _ => return None,
    })
}

/// Reads the argument called `argument`.
#[inline]
pub fn of_python(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<Status> {
    let Ok(bytes) = object.cast::<PyBytes>() else {
        return Err(not_bytes(object, argument));
    };
    match of_bytes(bytes.as_bytes()) {
        Some(status) => Ok(status),
        None => Err(unknown(object, argument)),
    }
}

#[cold]
fn not_bytes(object: &Bound<'_, PyAny>, argument: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{argument} must be bytes, one of {EXPECTED}, got {}",
        type_name(object)
    ))
}

#[cold]
fn unknown(object: &Bound<'_, PyAny>, argument: &str) -> PyErr {
    let shown = object
        .repr()
        .map_or_else(|_| String::from("other bytes"), |repr| repr.to_string());
    PyValueError::new_err(format!("{argument} must be one of {EXPECTED}, got {shown}"))
}

const EXPECTED: &str = "b'UNCONFIRMED', b'OK', b'JOIN', b'SUSPECT', b'DEAD', b'LEFT'";

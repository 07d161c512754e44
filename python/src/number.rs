//! Numbers and times as Python has them.

use incarnation::Timestamp;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

/// The highest incarnation that a message may carry.
pub const MAX_INCARNATION: u64 = (1 << 31) - 1;

/// How far a message may raise an incarnation above the known one.
pub const MAX_INCARNATION_JUMP: u64 = 1000;

/// An `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    Small(i64),
    TooLarge,
    TooSmall,
}

/// Reads an `int`; `None` for anything else. Runs no Python code.
#[inline]
pub fn integer(object: &Bound<'_, PyAny>) -> Option<Integer> {
    object.cast::<PyInt>().ok()?;
    let mut overflow = 0;
    // SAFETY: an `int` of an attached thread; for an `int` nothing but overflow can go wrong.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
    Some(match overflow {
        0 => Integer::Small(number),
        1 => Integer::TooLarge,
        _ => Integer::TooSmall,
    })
}

/// An incarnation argument, as the caller gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenIncarnation(pub Integer);

impl GivenIncarnation {
    /// Whether a message may carry it.
    #[inline]
    pub fn valid(self) -> Option<u64> {
        match self.0 {
            Integer::Small(number) => u64::try_from(number)
                .ok()
                .filter(|number| *number <= MAX_INCARNATION),
            _ => None,
        }
    }

    /// The number, for calls that do not validate.
    pub fn storable(self, argument: &str) -> PyResult<u64> {
        match self.0 {
            Integer::Small(number) if number < 0 => Err(PyValueError::new_err(format!(
                "{argument} must not be negative, got {number}"
            ))),
            Integer::Small(number)
                if number.unsigned_abs() <= incarnation::Incarnation::MAX.get() =>
            {
                Ok(number.unsigned_abs())
            }
            Integer::TooSmall => Err(PyValueError::new_err(format!(
                "{argument} must not be negative"
            ))),
            _ => Err(PyValueError::new_err(format!(
                "{argument} must be at most {}, the highest that a table stores",
                incarnation::Incarnation::MAX
            ))),
        }
    }
}

/// Reads the argument called `argument`.
#[inline]
pub fn incarnation(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<GivenIncarnation> {
    match integer(object) {
        Some(number) => Ok(GivenIncarnation(number)),
        None => Err(not_an_int(object, argument)),
    }
}

#[cold]
fn not_an_int(object: &Bound<'_, PyAny>, argument: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{argument} must be an int, got {}",
        type_name(object)
    ))
}

/// The name of an object's type, for messages.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    match object.get_type().name() {
        Ok(name) => name.to_string(),
        Err(_) => String::from("something else"),
    }
}

const NANOS: u64 = 1_000_000_000;

/// Seconds, a float or an int, as whole nanoseconds of the same clock.
#[inline]
pub fn time(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<Timestamp> {
    let seconds = seconds(object, argument)?;
    time_of(seconds).ok_or_else(|| bad_time(seconds, argument))
}

/// The nearest whole nanosecond; `None` if there is none. The whole seconds are multiplied as
/// integers, so that the result is exact for every time that a clock of the system tells.
#[inline]
pub fn time_of(seconds: f64) -> Option<Timestamp> {
    if !(0.0..1.8e10).contains(&seconds) {
        return None;
    }
    let whole = seconds.trunc();
    let nanos = ((seconds - whole) * 1e9).round();
    Some(Timestamp::from_nanos(whole as u64 * NANOS + nanos as u64))
}

/// The same as seconds.
#[inline]
pub fn seconds_of(time: Timestamp) -> f64 {
    let nanos = time.as_nanos();
    if nanos < 1 << 53 {
        nanos as f64 / 1e9
    } else {
        (nanos / NANOS) as f64 + (nanos % NANOS) as f64 / 1e9
    }
}

/// A duration as seconds.
pub fn seconds_in(duration: std::time::Duration) -> f64 {
    seconds_of(Timestamp::ZERO + duration)
}

#[inline]
fn seconds(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<f64> {
    if let Ok(float) = object.cast::<PyFloat>() {
        return Ok(float.value());
    }
    match object.extract::<f64>() {
        Ok(seconds) => Ok(seconds),
        Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => {
            Err(PyTypeError::new_err(format!(
                "{argument} must be a number of seconds, got {}",
                type_name(object)
            )))
        }
        Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => Err(
            PyValueError::new_err(format!("{argument} must be a number of seconds: {error}")),
        ),
        // What the object's own code raised.
        Err(error) => Err(error),
    }
}

/// A number of things as an argument: an `int`, or what Python takes for one. `None` if none was given.
pub fn count(object: Option<&Bound<'_, PyAny>>, argument: &str) -> PyResult<Option<u64>> {
    let Some(object) = object else {
        return Ok(None);
    };
    let py = object.py();
    match object.extract::<i64>() {
        Ok(number) => u64::try_from(number).map(Some).map_err(|_| {
            PyValueError::new_err(format!("{argument} must not be negative, got {number}"))
        }),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Err(PyTypeError::new_err(
            format!("{argument} must be an int, got {}", type_name(object)),
        )),
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => Err(PyValueError::new_err(
            format!("{argument} must be within 0 and {}", i64::MAX),
        )),
        Err(error) => Err(error),
    }
}

#[cold]
fn bad_time(seconds: f64, argument: &str) -> PyErr {
    PyValueError::new_err(format!(
        "{argument} must be within 0 and 1.8e10 seconds, got {seconds}"
    ))
}

/// A span of seconds.
pub fn duration(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<std::time::Duration> {
    let seconds = seconds(object, argument)?;
    if seconds == f64::INFINITY {
        return Ok(std::time::Duration::from_nanos(u64::MAX));
    }
    time_of(seconds)
        .map(|time| std::time::Duration::from_nanos(time.as_nanos()))
        .ok_or_else(|| bad_time(seconds, argument))
}

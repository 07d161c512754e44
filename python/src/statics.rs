//! The Python objects that the module makes once, when it is imported.
//!
//! None is made at its first use, because a fork could fall into that moment. pyo3's `PyOnceLock` and `intern!` release the
//! GIL before they make their object. A thread that forks then leaves the child with a lock that is taken by a thread
//! the child does not have: the child's first use of the same object would wait for ever.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use incarnation::{Claim, Status};
use pyo3::PyTypeInfo;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::node_state::NodeState;
use crate::status;
use crate::verdict::Verdict;

/// The objects.
pub struct Statics {
    /// The statuses' bytes, in the order of their ranks.
    pub statuses: [Py<PyBytes>; Status::ALL.len()],
    /// The members of `MessageFreshness`: FRESH, DUPLICATE, STALE, INVALID, SUSPICIOUS.
    pub freshness: [Py<PyAny>; 5],
    /// The text "time".
    pub time: Py<PyString>,
    /// The text "monotonic".
    pub monotonic: Py<PyString>,
}

static STATICS: OnceLock<Statics> = OnceLock::new();

/// Makes the objects. The module's import calls it, before any other function of the module can run.
pub fn make(py: Python<'_>) -> PyResult<()> {
    let class = py
        .import("incarnation._freshness")?
        .getattr("MessageFreshness")?;
    let member = |name: &str| class.getattr(name).map(Bound::unbind);
    let made = Statics {
        statuses: Status::ALL.map(|status| PyBytes::new(py, status::name(status)).unbind()),
        freshness: [
            member("FRESH")?,
            member("DUPLICATE")?,
            member("STALE")?,
            member("INVALID")?,
            member("SUSPICIOUS")?,
        ],
        time: PyString::intern(py, "time").unbind(),
        monotonic: PyString::intern(py, "monotonic").unbind(),
    };
    // pyo3 makes three objects of its own at their first use: the lists of freed states and verdicts, and the class of a
    // panic, which it looks for in each exception that it fetches.
    drop(Py::new(py, NodeState::of_claim(Claim::alive(0)))?);
    drop(Py::new(py, Verdict(incarnation::Verdict::Joined))?);
    PanicException::type_object(py);
    // A program that imports the module anew keeps the objects that it has. Nothing runs inside this lock.
    drop(STATICS.set(made));
    Ok(())
}

/// The objects that [`make`] made.
#[inline]
pub fn get() -> &'static Statics {
    STATICS.get().expect("the module's import made them")
}

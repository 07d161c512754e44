//! Python bindings of `incarnation`: the extension module behind the package in `incarnation/`.
//!
//! `key` is how nodes cross over; `number` and `status` how numbers, times and statuses do. `tracker` is
//! the class that programs use, `node_state`, `verdict`, `snapshot` and `subscriber` are what its methods
//! return. `deaths` holds death records; `oldest_death` tells a
//! cleanup when it has nothing to do; `fork` and `statics` are what makes forks safe.

mod deaths;
mod fork;
mod key;
mod node_state;
mod number;
mod oldest_death;
mod snapshot;
mod statics;
mod status;
mod subscriber;
mod tracker;
mod verdict;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// The extension module; use the package `incarnation`.
#[pymodule(gil_used = false)]
mod _incarnation {
    use super::*;

    #[pymodule_export]
    use super::fork::{_after_fork_in_child, _after_fork_in_parent, _before_fork};
    #[pymodule_export]
    use super::node_state::NodeState;
    #[pymodule_export]
    use super::snapshot::Snapshot;
    #[pymodule_export]
    use super::subscriber::{Change, Subscriber};
    #[pymodule_export]
    use super::tracker::Tracker;
    #[pymodule_export]
    use super::verdict::Verdict;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // SAFETY: attached, so there is a current interpreter.
        let interpreter = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
        if interpreter != 0 {
            return Err(PyImportError::new_err(
                "incarnation does not support subinterpreters: import it in the main interpreter",
            ));
        }
        statics::make(module.py())?;
        module.add("MAX_INCARNATION", number::MAX_INCARNATION)?;
        module.add("MAX_INCARNATION_JUMP", number::MAX_INCARNATION_JUMP)
    }
}

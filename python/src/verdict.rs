//! `Verdict`: what the table decided about a claim, and why.

use std::hash::{DefaultHasher, Hash, Hasher};

use incarnation::{Claim, Rejection};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::status;

/// What a tracker decided about a claim.
///
/// True if the claim was accepted. `kind` is one of 'joined', 'applied', 'duplicate', 'stale',
/// 'about_self' and 'rejected'; for a rejected claim `reason` says why.
#[pyclass(name = "Verdict", module = "incarnation", frozen, freelist = 64)]
#[derive(Clone, Copy)]
pub struct Verdict(pub incarnation::Verdict);

/// A status and an incarnation.
pub type PyClaim = (Py<PyBytes>, u64);

pub fn claim(py: Python<'_>, claim: Claim) -> PyClaim {
    (
        status::to_python(py, claim.status()),
        claim.incarnation().get(),
    )
}

#[pymethods]
impl Verdict {
    /// 'joined', 'applied', 'duplicate', 'stale', 'about_self' or 'rejected'.
    #[getter]
    fn kind(&self) -> &'static str {
        use incarnation::Verdict::{AboutSelf, Applied, Duplicate, Joined, Rejected, Stale};
        match self.0 {
            Joined => "joined",
            Applied { .. } => "applied",
            Duplicate { .. } => "duplicate",
            Stale { .. } => "stale",
            AboutSelf { .. } => "about_self",
            Rejected(_) => "rejected",
            _ => "other",
        }
    }

    /// Whether the claim is now what the tracker holds: joined or applied.
    #[getter]
    fn accepted(&self) -> bool {
        self.0.accepted()
    }

    /// Why a claim was rejected: 'out_of_range', 'unrefutable', 'suspicious_jump', 'unconfirmed',
    /// 'unknown_node', 'at_capacity', 'pending_reclaim', 'tombstone', 'zombie'; None if it was not.
    #[getter]
    fn reason(&self) -> Option<&'static str> {
        let incarnation::Verdict::Rejected(reason) = self.0 else {
            return None;
        };
        Some(match reason {
            Rejection::OutOfRange { .. } => "out_of_range",
            Rejection::Unrefutable { .. } => "unrefutable",
            Rejection::SuspiciousJump { .. } => "suspicious_jump",
            Rejection::Unconfirmed => "unconfirmed",
            Rejection::UnknownNode => "unknown_node",
            Rejection::AtCapacity => "at_capacity",
            Rejection::PendingReclaim => "pending_reclaim",
            Rejection::Tombstone { .. } => "tombstone",
            Rejection::Zombie { .. } => "zombie",
            _ => "other",
        })
    }

    /// What is known of the node, (status, incarnation), where the claim was a duplicate, stale, or a
    /// suspicious jump: send it back to whoever is out of date.
    #[getter]
    fn current(&self, py: Python<'_>) -> Option<PyClaim> {
        match self.0 {
            incarnation::Verdict::Duplicate { current }
            | incarnation::Verdict::Stale { current }
            | incarnation::Verdict::Rejected(Rejection::SuspiciousJump { current, .. }) => {
                Some(claim(py, current))
            }
            _ => None,
        }
    }

    /// What an applied claim replaced, (status, incarnation).
    #[getter]
    fn previous(&self, py: Python<'_>) -> Option<PyClaim> {
        match self.0 {
            incarnation::Verdict::Applied { previous } => Some(claim(py, previous)),
            _ => None,
        }
    }

    /// What was said of this node itself, (status, incarnation): give it to `answer`.
    #[getter]
    fn accused(&self, py: Python<'_>) -> Option<PyClaim> {
        match self.0 {
            incarnation::Verdict::AboutSelf { accused } => Some(claim(py, accused)),
            _ => None,
        }
    }

    /// The lowest incarnation that would be accepted, where that is why the claim was rejected.
    #[getter]
    fn required(&self) -> Option<u64> {
        match self.0 {
            incarnation::Verdict::Rejected(Rejection::Zombie { required }) => Some(required.get()),
            incarnation::Verdict::Rejected(Rejection::Tombstone { incarnation }) => {
                Some(incarnation.get().saturating_add(1))
            }
            _ => None,
        }
    }

    fn __bool__(&self) -> bool {
        self.0.accepted()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<Verdict>() else {
            return Ok(py.NotImplemented());
        };
        let equal = self.0 == other.get().0;
        Ok(equal.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Verdict: {}>", self.0)
    }
}

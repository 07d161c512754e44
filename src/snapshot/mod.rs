//! Snapshots: an owned copy of what a tracker knows at a moment, to be kept, sent or merged.
//!
//! Programs take them to answer a peer that joins, to exchange all they know with a peer now and then (push-pull), and to
//! know their peers after a restart. A snapshot has ages in place of last updates, since a time of one process means
//! nothing to another. Each snapshot is legal by construction, also one of records from elsewhere; merging it applies the
//! ordinary rule to each row.
#![forbid(unsafe_code)]

// First, since the documentation lists the methods of a type in the order of the modules.
mod records;

mod digest;
mod merge;
#[cfg(feature = "persist")]
mod saved;
mod take;

pub use digest::Digest;
#[cfg(feature = "serde")]
pub(crate) use digest::Known;
pub use merge::MergeReport;
pub use records::{Record, Snapshot, SnapshotError};
#[cfg(feature = "persist")]
pub use saved::Loaded;

//! Files (feature `persist`): the local node's incarnation, so that a restarted node never repeats one, and the errors of
//! [saved](crate::Snapshot::save) snapshots.
//!
//! Files are replaced as a whole: written under another name, forced to disk, moved into place, and the directory forced
//! to disk too. They carry a version and a checksum, and one process at a time writes them. A replaced file keeps its
//! mode, and its owner where the operating system allows that; the lock file beside it is readable by its owner alone.
//! Bytes that are not exactly what was written are a typed error and stay as they are.
#![forbid(unsafe_code)]

mod durable;
pub(crate) mod envelope;
mod error;
pub(crate) mod file;

pub use durable::DurableIncarnation;
pub(crate) use durable::Reservation;
pub use envelope::FormatError;
pub use error::{IoError, PersistError, Step};

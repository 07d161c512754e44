//! What outlives the process: the local node's incarnation, so that a restarted node never repeats
//! itself (feature `persist`). Snapshots are [saved](crate::Snapshot::save) by the same means.
//!
//! Files are replaced as a whole (written aside, forced to disk, moved into place, the directory
//! forced to disk too), carry a version and a checksum, and are written by one process at a time.
//! What can't be read as exactly what was written is a typed error and stays as it is.
#![forbid(unsafe_code)]

mod durable;
pub(crate) mod envelope;
mod error;
pub(crate) mod file;

pub use durable::DurableIncarnation;
pub(crate) use durable::Reservation;
pub use envelope::FormatError;
pub use error::{IoError, PersistError, Step};

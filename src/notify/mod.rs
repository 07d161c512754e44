//! How one thread tells others that something happened, without waiting for them: marks for
//! subscribers, and the signal that a claim found no room.
//!
//! Writers never wait here. [`marks`] belongs to the subscribers, [`capacity_signal`] to the sweepers.

pub(crate) mod capacity_signal;
pub(crate) mod marks;

pub(crate) use marks::Notify;

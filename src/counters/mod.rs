//! Numbers that a tracker keeps while it works: nodes by status, rare events, and how long views are held.
//! [`stats`](crate::stats) reads them.

pub(crate) mod event_counters;
pub(crate) mod pin_age;
pub(crate) mod status_counts;

pub use status_counts::Counts;

//! What ties trackers to other crates: optional, one file each, behind a feature of the same name.

#[cfg(feature = "foca")]
pub mod foca;
#[cfg(feature = "serde")]
mod key_form;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "serde")]
mod serde;

#[cfg(feature = "metrics")]
pub use self::metrics::describe_metrics;
#[cfg(feature = "persist")]
pub(crate) use self::serde::rows_of;

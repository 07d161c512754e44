//! Lock-free SWIM membership state.

pub mod rule;
mod time;

pub use rule::{Claim, Incarnation, ParseStatusError, Rejection, Status, Verdict};
pub use time::{Clock, Timestamp};

//! The conflict rule: pure, without atomics or clocks, and without unsafe code but for one conversion in [`PackedState`].
//!
//! The newest claim wins: the higher incarnation; at an equal one the higher [`Status`]
//! (SWIM, section 4.2). On top of that order are the guards of [`judge()`].

mod claim;
mod incarnation;
mod judge;
mod packed_state;
mod policy;
mod proposal;
mod status;
mod verdict;

pub use claim::{Claim, ParseClaimError};
pub use incarnation::Incarnation;
pub use judge::{Judgement, Situation, judge};
pub use packed_state::PackedState;
pub use policy::Policy;
pub use proposal::{Proposal, ProposalKind};
pub use status::{ParseStatusError, Status};
pub use verdict::{Rejection, Verdict};

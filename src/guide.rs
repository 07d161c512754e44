//! Chapters for people who use the library: read [`getting_started`] first.
//!
//! How it works inside, and why so, is in `docs/design.md`; how it is checked, in
//! `docs/verification.md`; what it measures, in `docs/performance.md`.

#[doc = include_str!("../docs/guide/getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("../docs/guide/rule.md")]
pub mod the_rule {}

#[doc = include_str!("../docs/guide/consistency.md")]
pub mod consistency {}

#[doc = include_str!("../docs/guide/patterns.md")]
pub mod patterns {}

#[doc = include_str!("../docs/guide/async.md")]
pub mod async_code {}

#[doc = include_str!("../docs/guide/sweeping.md")]
pub mod sweeping {}

#[doc = include_str!("../docs/guide/snapshots.md")]
pub mod snapshots {}

#[doc = include_str!("../docs/guide/limits.md")]
pub mod limits {}

#[doc = include_str!("../docs/guide/migrating.md")]
pub mod migrating {}

//! A SWIM failure detector over an [`IncarnationTracker`](incarnation::IncarnationTracker): datagrams
//! and timers in, datagrams out. It opens no socket, reads no clock, and holds no membership state:
//! every status, incarnation and last update is read from the tracker and written to it, so all holders of
//! the tracker see at once what the protocol knows.
//!
//! ```
//! use incarnation::{IncarnationTracker, Status, Timestamp};
//! use incarnation_swim::{Config, Protocol};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (a, b) = ("10.0.0.1:7946".parse()?, "10.0.0.2:7946".parse()?);
//! let node = |me| -> Result<Protocol, Box<dyn std::error::Error>> {
//!     let tracker = IncarnationTracker::builder().local_node(me).build()?;
//!     Ok(Protocol::new(tracker, me, Config::default(), 7)?)
//! };
//! let (first, second) = (node(a)?, node(b)?);
//!
//! let mut out = Vec::new();
//! second.join([a], Timestamp::ZERO, &mut out);
//! // What a socket would do:
//! while let Some(datagram) = out.pop() {
//!     let (from, to) = if datagram.to == a { (b, &first) } else { (a, &second) };
//!     to.handle_datagram(from, &datagram.bytes, Timestamp::ZERO, &mut out)?;
//! }
//! assert_eq!(first.tracker().get(&b).map(|state| state.status), Some(Status::Alive));
//! assert_eq!(second.tracker().get(&a).map(|state| state.status), Some(Status::Alive));
//! # Ok(()) }
//! ```
//!
//! # What it does, and where it comes from
//!
//! - Das, Gupta, Motivala, *SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
//!   Protocol*, 2002: probe, ack and indirect probe (3.1), piggybacked gossip (4.1), suspicion and
//!   refutation (4.2), round-robin probes in random order (4.3).
//! - Dadgar, Phillips, Currey, *Lifeguard: Local Health Awareness for More Accurate Failure
//!   Detection*, 2018: local health and nacks (IV-A), suspicions that independent accusers shorten (IV-B), telling a
//!   suspected member first (IV-C).
//! - Beyond both: a member must answer a number that only it was sent before it counts (Unconfirmed), joins and whole
//!   states, leaving on purpose, and contact with the dead, so that a partition heals.
//!
//! # What it trusts
//!
//! Nothing is signed. What an attacker who forges datagrams can do, and what not, is in `docs/wire.md`: a stranger's
//! datagram causes at most one datagram to a non-member and a bounded number among members, and dies out.
//!
//! # Without a disk
//!
//! A node that restarts must come back above the incarnation it had. With [`local_durable`](incarnation::Builder) it
//! does. Without a disk, start it at the seconds since 1970
//! (`.local_incarnation(now.as_secs())`, [`max_incarnation_jump`](incarnation::Builder::max_incarnation_jump) as wide as a node may
//! be away): each restart is above the last. A node that starts at 0 is refused by a seed that knows it at a higher incarnation.
//! The refusal names the incarnation that it needs, so it joins after one more exchange.
//!
//! # Threads
//!
//! [`Protocol::handle_datagram`] may run on any number of threads at once: claims go straight into the
//! tracker. Those about nodes that it holds take no lock there, except for a rejoin of an Unconfirmed node, which looks for its
//! tombstone. Small mutexes guard the rest, each for less than a datagram's work.
#![forbid(unsafe_code)]

mod address;
mod apply_claims;
mod config;
pub mod fuzz;
mod gossip;
mod health;
mod introductions;
mod numbers;
mod probing;
mod protocol;
mod receive;
mod requests;
mod schedule;
pub mod sim;
mod state;
mod stats;
mod suspicions;
pub mod test_datagrams;
mod timer;
mod wire;

pub use config::{Config, ConfigError};
pub use protocol::{Datagram, Phase, Protocol};
pub use stats::Stats;
pub use wire::Dropped;

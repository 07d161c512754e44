//! Which tombstones may be found, or missed, at moments when the sequential model has them otherwise.
//!
//! Burying and evicting are two steps, and so are joining and ending a tombstone:
//!
//! - A death is buried *before* it is known whether the eviction succeeds. If a claim is faster, the
//!   tombstone of a state the node really was in is there for a moment, and stays beside the living node if
//!   there was one before.
//! - A join removes the tombstone below its packed state *after* the node has joined. Until then the tombstone may be found.
//!
//! Both only ever concern a state that the node was in, and only while the operations
//! responsible go on; so this works out from the spans when that was. Everything else is demanded.

use std::collections::BTreeMap;

use incarnation::rule::{PackedState, ProposalKind};
use incarnation::{Claim, SweepReason, Timestamp, Verdict};

use super::{Event, Span, What};
use crate::model::Held;

/// What may be found or missed of one node's tombstones.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    lingering: Vec<Lingering>,
}

#[derive(Clone, Copy, Debug)]
struct Lingering {
    death: Held,
    /// May be found by what ends after this.
    from: u64,
    /// May not be found by what begins after this.
    until: u64,
}

/// What is known of one gone packed state.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// The earliest it was the node's state, and its last update's lower bound.
    since: u64,
    at: Timestamp,
    /// The latest it was.
    until: u64,
    /// How often it became the state, less how often it ceased to be.
    open: usize,
}

impl Tombstones {
    /// Works it out from the events of a node and the spans of all sweeps.
    pub fn of(events: &[Event], sweeps: &[(Span, Timestamp)]) -> Self {
        let mut tombstones = Self::default();
        let mut buriers: Vec<(Span, Option<PackedState>)> =
            sweeps.iter().map(|(span, _)| (*span, None)).collect();
        let mut enders: Vec<(Span, Option<PackedState>)> = Vec::new();
        for Event { span, what } in events {
            match what {
                What::Removed { .. } => buriers.push((*span, None)),
                What::RemovedIf { expected, .. } => {
                    buriers.push((*span, PackedState::of(*expected)))
                }
                What::Opened => enders.push((*span, None)),
                _ => {
                    if let Some(packed) = joined(what) {
                        enders.push((*span, Some(packed)));
                    }
                }
            }
        }
        for (packed, death) in deaths(events) {
            let lifetime = Span {
                began: death.since,
                ended: death.until,
            };
            let burials = buriers
                .iter()
                // A lower death finds the tombstone there, and counts on it from then on.
                .filter(|(span, of)| of.is_none_or(|of| of <= packed) && span.overlaps(lifetime));
            let Some((from, last)) = burials.fold(None, |hull: Option<(u64, u64)>, (span, _)| {
                let (from, last) = hull.unwrap_or((u64::MAX, 0));
                Some((from.min(span.began), last.max(span.ended)))
            }) else {
                continue;
            };
            let burial = Span {
                began: from.max(death.since),
                ended: last,
            };
            let until = enders
                .iter()
                .filter(|(span, above)| {
                    above.is_none_or(|above| above > packed) && span.is_after(burial)
                })
                .map(|(span, _)| span.ended)
                .min();
            tombstones.lingering.push(Lingering {
                death: Held {
                    packed,
                    at: death.at,
                },
                from: burial.began,
                until: until.unwrap_or(u64::MAX),
            });
        }
        tombstones
    }

    /// The deaths that may be found remembered within a span.
    pub fn lingering(&self, during: Span) -> impl Iterator<Item = Held> {
        self.lingering
            .iter()
            .filter(move |tombstone| {
                tombstone.from <= during.ended && during.began <= tombstone.until
            })
            .map(|tombstone| tombstone.death)
    }
}

/// The packed state a node joined with, where the event tells it.
fn joined(what: &What) -> Option<PackedState> {
    match *what {
        What::Submitted {
            proposal,
            verdict: Verdict::Joined,
            ..
        } => match proposal.kind() {
            ProposalKind::Claim(claim) => PackedState::of(claim),
            ProposalKind::Confirm(incarnation) | ProposalKind::Rejoin(incarnation) => {
                PackedState::of(Claim::alive(incarnation))
            }
            _ => None,
        },
        _ => None,
    }
}

/// When the node was in each state that leaves a tombstone; of several times, from the first to the last.
fn deaths(events: &[Event]) -> BTreeMap<PackedState, Death> {
    let mut deaths = BTreeMap::new();
    for Event { span, what } in events {
        if let Some((packed, at)) = death(what) {
            let death = deaths.entry(packed).or_insert(Death {
                since: span.began,
                at,
                until: 0,
                open: 0,
            });
            death.since = death.since.min(span.began);
            death.at = death.at.min(at);
            death.open += 1;
        }
    }
    for Event { span, what } in events {
        if let Some(packed) = left(what)
            && let Some(death) = deaths.get_mut(&packed)
        {
            death.until = death.until.max(span.ended);
            death.open = death.open.saturating_sub(1);
        }
    }
    for death in deaths.values_mut() {
        if death.open > 0 {
            death.until = u64::MAX;
        }
    }
    deaths
}

/// The gone packed state an event made the node's state, and when.
fn death(what: &What) -> Option<(PackedState, Timestamp)> {
    let (packed, at) = match *what {
        What::Submitted {
            proposal,
            now,
            verdict,
        } if verdict.accepted() => match proposal.kind() {
            ProposalKind::Claim(claim) | ProposalKind::Hear(claim) => {
                (PackedState::of(claim)?, now)
            }
            _ => return None,
        },
        What::Swept {
            reason: SweepReason::SuspectExpired,
            last,
            now,
        } => (
            PackedState::of(Claim::dead(last.packed.incarnation()))?,
            now,
        ),
        _ => return None,
    };
    packed.status().is_gone().then_some((packed, at))
}

/// The packed state an event took the node out of.
fn left(what: &What) -> Option<PackedState> {
    match *what {
        What::Submitted {
            verdict: Verdict::Applied { previous },
            ..
        } => PackedState::of(previous),
        What::Removed { last, .. } | What::Forgotten(last) => Some(last?.packed),
        What::RemovedIf { result, .. } => Some(result.ok()?.packed),
        What::Swept { last, .. } => Some(last.packed),
        _ => None,
    }
}

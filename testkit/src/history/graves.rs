//! Which graves may be found, or missed, at moments when the sequential model has them otherwise.
//!
//! Burying and evicting are two steps, and so are joining and ending a grave:
//!
//! - A death is buried *before* it is known whether the eviction succeeds. If a claim is faster, the
//!   grave of a state the node really was in is there for a moment, and stays beside the living node if
//!   there was one before.
//! - Who joins ends the grave below its word *after* it has joined. Until then the grave may be found.
//!
//! Both only ever concern a state that the node was in, and only while the operations
//! responsible go on; so this works out from the spans when that was. Everything else is demanded.

use std::collections::BTreeMap;

use incarnation::rule::{ProposalKind, Word};
use incarnation::{Claim, SweepReason, Timestamp, Verdict};

use super::{Event, Span, What};
use crate::model::Held;

/// What may be found or missed of one node's graves.
#[derive(Clone, Debug, Default)]
pub struct Graves {
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

/// What is known of one gone word.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// The earliest it was the node's state, and its stamp's lower bound.
    since: u64,
    at: Timestamp,
    /// The latest it was.
    until: u64,
    /// How often it became the state, less how often it ceased to be.
    open: usize,
}

impl Graves {
    /// Works it out from the events of a node and the spans of all sweeps.
    pub fn of(events: &[Event], sweeps: &[(Span, Timestamp)]) -> Self {
        let mut graves = Self::default();
        let mut buriers: Vec<(Span, Option<Word>)> =
            sweeps.iter().map(|(span, _)| (*span, None)).collect();
        let mut enders: Vec<(Span, Option<Word>)> = Vec::new();
        for Event { span, what } in events {
            match what {
                What::Removed { .. } => buriers.push((*span, None)),
                What::RemovedIf { expected, .. } => buriers.push((*span, Word::of(*expected))),
                What::Opened => enders.push((*span, None)),
                _ => {
                    if let Some(word) = joined(what) {
                        enders.push((*span, Some(word)));
                    }
                }
            }
        }
        for (word, death) in deaths(events) {
            let life = Span {
                began: death.since,
                ended: death.until,
            };
            let burials = buriers
                .iter()
                // A lower death finds the grave there, and counts on it from then on.
                .filter(|(span, of)| of.is_none_or(|of| of <= word) && span.overlaps(life));
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
                    above.is_none_or(|above| above > word) && span.is_after(burial)
                })
                .map(|(span, _)| span.ended)
                .min();
            graves.lingering.push(Lingering {
                death: Held { word, at: death.at },
                from: burial.began,
                until: until.unwrap_or(u64::MAX),
            });
        }
        graves
    }

    /// The deaths that may be found remembered within a span.
    pub fn lingering(&self, during: Span) -> impl Iterator<Item = Held> {
        self.lingering
            .iter()
            .filter(move |grave| grave.from <= during.ended && during.began <= grave.until)
            .map(|grave| grave.death)
    }
}

/// The word a node joined with, where the event tells it.
fn joined(what: &What) -> Option<Word> {
    match *what {
        What::Submitted {
            proposal,
            verdict: Verdict::Joined,
            ..
        } => match proposal.kind() {
            ProposalKind::Claim(claim) => Word::of(claim),
            ProposalKind::Confirm(incarnation) | ProposalKind::Rejoin(incarnation) => {
                Word::of(Claim::alive(incarnation))
            }
            _ => None,
        },
        _ => None,
    }
}

/// When the node was in each state that leaves a grave; of several times, from the first to the last.
fn deaths(events: &[Event]) -> BTreeMap<Word, Death> {
    let mut deaths = BTreeMap::new();
    for Event { span, what } in events {
        if let Some((word, at)) = death(what) {
            let death = deaths.entry(word).or_insert(Death {
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
        if let Some(word) = left(what)
            && let Some(death) = deaths.get_mut(&word)
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

/// The gone word an event made the node's state, and when.
fn death(what: &What) -> Option<(Word, Timestamp)> {
    let (word, at) = match *what {
        What::Submitted {
            proposal,
            now,
            verdict,
        } if verdict.accepted() => match proposal.kind() {
            ProposalKind::Claim(claim) => (Word::of(claim)?, now),
            _ => return None,
        },
        What::Swept {
            reason: SweepReason::SuspectExpired,
            last,
            now,
        } => (Word::of(Claim::dead(last.word.incarnation()))?, now),
        _ => return None,
    };
    word.status().is_gone().then_some((word, at))
}

/// The word an event took the node out of.
fn left(what: &What) -> Option<Word> {
    match *what {
        What::Submitted {
            verdict: Verdict::Applied { previous },
            ..
        } => Word::of(previous),
        What::Removed { last, .. } | What::Forgotten(last) => Some(last?.word),
        What::RemovedIf { result, .. } => Some(result.ok()?.word),
        What::Swept { last, .. } => Some(last.word),
        _ => None,
    }
}

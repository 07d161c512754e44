//! The one function that decides about a claim. Writers, the read-only check, the sequential
//! model and the tests all call it; there is no second copy of the rule.
#![forbid(unsafe_code)]

use super::proposal::ProposalKind;
use super::{Claim, Incarnation, PackedState, Policy, Proposal, Rejection, Status, Verdict};

/// What is known of the node that a claim is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Situation {
    /// The state in the table; `None` if the node is unknown.
    pub stored: Option<PackedState>,
    /// The packed state in its tombstone. It matters only while `stored` is `None` or Unconfirmed: a node that was only
    /// heard of since its death has not come back.
    #[doc(alias = "grave")]
    pub tombstone: Option<PackedState>,
    /// Whether the death that `stored` or `tombstone` records is within the zombie window.
    pub died_recently: bool,
}

impl Situation {
    /// A known node (no recent death).
    #[must_use]
    #[inline]
    pub const fn known(stored: PackedState) -> Self {
        Self {
            stored: Some(stored),
            tombstone: None,
            died_recently: false,
        }
    }
}

/// A judgement: what to write, if anything, and what to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Judgement {
    /// The proposal wins: this packed state replaces the stored one.
    Write(PackedState, Verdict),
    /// The table keeps what it has.
    Keep(Verdict),
}

impl Judgement {
    /// What to answer (once the packed state, if any, is written).
    #[inline]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Write(_, verdict) | Self::Keep(verdict) => verdict,
        }
    }
}

/// Decides about a proposal. Pure: reads no clock, touches no table.
///
/// The order of the checks: a claim that is not above the stored packed state is no news; then range, the
/// Unconfirmed guard at an equal incarnation, unrefutable, jump; for a node that is unknown, or was only heard
/// of, its tombstone. (First-hand contact makes a node Alive that gossip only mentioned, tombstone or not.)
/// A stored packed state is taken to be in range.
///
/// ```
/// use incarnation::rule::{judge, Judgement, Policy, Proposal, Situation, PackedState};
/// use incarnation::{Claim, Verdict};
/// let stored = PackedState::of(Claim::alive(3)).unwrap();
/// let suspicion = Claim::suspect(3);
/// assert_eq!(
///     judge(Situation::known(stored), Proposal::claim(suspicion), &Policy::default()),
///     Judgement::Write(
///         PackedState::of(suspicion).unwrap(),
///         Verdict::Applied { previous: Claim::alive(3) },
///     ),
/// );
/// ```
#[inline(always)]
pub fn judge(mut situation: Situation, proposal: Proposal, policy: &Policy) -> Judgement {
    let claim = match proposal.kind() {
        ProposalKind::Claim(claim) => claim,
        ProposalKind::Hear(claim) => match situation.stored {
            Some(stored) if stored.rank() != Status::Unconfirmed.rank() => claim,
            _ => return hear(situation, claim, policy),
        },
        ProposalKind::Confirm(mut incarnation) => {
            if let Some(stored) = situation.stored
                && stored.status() == Status::Unconfirmed
                && incarnation <= policy.max_incarnation
            {
                incarnation = incarnation.max(stored.incarnation());
                situation.tombstone = None;
            }
            Claim::alive(incarnation).trusted()
        }
        ProposalKind::Rejoin(incarnation) => {
            if let Some(required) = zombie(situation, policy)
                && incarnation < required
            {
                return rejected(Rejection::Zombie { required });
            }
            Claim::alive(incarnation).trusted()
        }
        ProposalKind::Introduce => {
            if let Some(stored) = situation.stored {
                return Judgement::Keep(Verdict::Duplicate {
                    current: stored.claim(),
                });
            }
            let incarnation = situation
                .tombstone
                .map_or(Incarnation::ZERO, PackedState::incarnation);
            return introduce(incarnation, policy);
        }
    };
    merge(situation, claim, policy)
}

/// Hearsay about a node that is unknown or Unconfirmed: it can only introduce.
fn hear(situation: Situation, claim: Claim, policy: &Policy) -> Judgement {
    if let Some(nothing_new) = nothing_new(situation.stored, claim) {
        return nothing_new;
    }
    if claim.incarnation() > policy.max_incarnation {
        return rejected(Rejection::OutOfRange {
            incarnation: claim.incarnation(),
            max: policy.max_incarnation,
        });
    }
    if situation.stored.is_some() {
        return rejected(Rejection::Unconfirmed);
    }
    if claim.status().is_gone() {
        return rejected(Rejection::UnknownNode);
    }
    let incarnation = match situation.tombstone {
        Some(tombstone) if claim.incarnation() <= tombstone.incarnation() => {
            return rejected(Rejection::Tombstone {
                incarnation: tombstone.incarnation(),
            });
        }
        Some(tombstone) => tombstone.incarnation(),
        None => Incarnation::ZERO,
    };
    introduce(incarnation, policy)
}

/// An unknown node enters as Unconfirmed.
fn introduce(incarnation: Incarnation, policy: &Policy) -> Judgement {
    match PackedState::pack(Status::Unconfirmed, incarnation) {
        Some(packed) => Judgement::Write(packed, Verdict::Joined),
        None => rejected(Rejection::OutOfRange {
            incarnation,
            max: policy.max_incarnation,
        }),
    }
}

/// The answer to a claim that is not above the stored state. It is in range, as that state is.
#[inline(always)]
fn nothing_new(stored: Option<PackedState>, claim: Claim) -> Option<Judgement> {
    let stored = stored?;
    let current = stored.claim();
    if claim.incarnation() < current.incarnation() {
        return Some(Judgement::Keep(Verdict::Stale { current }));
    }
    // Ranks are compared as bits of the packed state; to make statuses of them would cost more.
    if claim.incarnation() == current.incarnation() && claim.rank() <= current.rank() {
        return Some(Judgement::Keep(Verdict::Duplicate { current }));
    }
    None
}

/// What a rejoin needs if the node died within the zombie window.
fn zombie(situation: Situation, policy: &Policy) -> Option<Incarnation> {
    let last = match situation.stored {
        Some(stored) if stored.status() != Status::Unconfirmed => stored,
        _ => situation.tombstone?,
    };
    (situation.died_recently && last.status() == Status::Dead)
        .then(|| policy.required_after(last.incarnation()))
}

/// The ordinary rule with its guards.
#[inline(always)]
fn merge(situation: Situation, claim: Claim, policy: &Policy) -> Judgement {
    // Most claims end here.
    if let Some(nothing_new) = nothing_new(situation.stored, claim) {
        return nothing_new;
    }
    let packed = match PackedState::of(claim) {
        Some(packed) if claim.incarnation() <= policy.max_incarnation => packed,
        _ => {
            return rejected(Rejection::OutOfRange {
                incarnation: claim.incarnation(),
                max: policy.max_incarnation,
            });
        }
    };
    let unrefutable_here = Rejection::Unrefutable {
        max: policy.max_incarnation,
    };
    let unrefutable =
        claim.rank() >= Status::Suspect.rank() && claim.incarnation() == policy.max_incarnation;
    let Some(stored) = situation.stored else {
        if unrefutable {
            return rejected(unrefutable_here);
        }
        if let Some(max) = policy.max_first_incarnation
            && claim.incarnation() > max
            && !claim.is_trusted()
        {
            return rejected(Rejection::OutOfRange {
                incarnation: claim.incarnation(),
                max,
            });
        }
        if let Some(tombstone) = situation.tombstone
            && claim.incarnation() <= tombstone.incarnation()
        {
            return rejected(Rejection::Tombstone {
                incarnation: tombstone.incarnation(),
            });
        }
        return Judgement::Write(packed, Verdict::Joined);
    };
    let current = stored.claim();
    if claim.incarnation() == stored.incarnation() {
        if claim.status() == Status::Suspect && stored.status() == Status::Unconfirmed {
            return rejected(Rejection::Unconfirmed);
        }
    } else {
        if unrefutable {
            return rejected(unrefutable_here);
        }
        if let Some(max_jump) = policy.max_incarnation_jump
            && claim.incarnation() > stored.incarnation().saturating_add(max_jump)
            && !claim.is_trusted()
        {
            return rejected(Rejection::SuspiciousJump {
                current,
                claimed: claim.incarnation(),
                max_jump,
            });
        }
    }
    if stored.status() == Status::Unconfirmed
        && let Some(tombstone) = situation.tombstone
        && claim.incarnation() <= tombstone.incarnation()
    {
        return rejected(Rejection::Tombstone {
            incarnation: tombstone.incarnation(),
        });
    }
    Judgement::Write(packed, Verdict::Applied { previous: current })
}

#[inline]
const fn rejected(reason: Rejection) -> Judgement {
    Judgement::Keep(Verdict::Rejected(reason))
}

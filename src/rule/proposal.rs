//! What somebody wants the table to hold.

use core::fmt;

use super::{Claim, Incarnation};

/// What somebody wants the table to hold: a claim, first-hand contact, a rejoin, an introduction.
///
/// Two numbers, so that it travels in two registers down to where it is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    incarnation: Incarnation,
    /// A claim's tag, or one of the constants below.
    tag: u8,
}

/// Beside the tags of claims, whose bits these are not.
const CONFIRM: u8 = 0x10;
const REJOIN: u8 = 0x20;
const INTRODUCE: u8 = 0x30;
const OTHERS: u8 = 0x30;

/// A [`Proposal`] taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProposalKind {
    /// A claim, by gossip or trusted.
    Claim(Claim),
    /// First-hand contact.
    Confirm(Incarnation),
    /// The node asks to join (again).
    Rejoin(Incarnation),
    /// The node was heard of.
    Introduce,
}

impl Proposal {
    /// A claim, by gossip or trusted.
    #[must_use]
    #[inline]
    pub const fn claim(claim: Claim) -> Self {
        Self {
            incarnation: claim.incarnation(),
            // No claim has these bits. Saying so lets the compiler see which proposal it is.
            tag: claim.tag() & !OTHERS,
        }
    }

    /// First-hand contact at an incarnation: an unconfirmed node becomes Alive at the higher of the
    /// stored and the given incarnation; anything else merges Alive by the ordinary rule. Trusted.
    #[must_use]
    #[inline]
    pub const fn confirm(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            tag: CONFIRM,
        }
    }

    /// The node asks to join (again) at an incarnation. Trusted, but a node that died within the
    /// zombie window needs [`Policy::required_after`](super::Policy::required_after) its death.
    #[must_use]
    #[inline]
    pub const fn rejoin(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            tag: REJOIN,
        }
    }

    /// The node was heard of, at no incarnation: inserted if unknown, at the incarnation of its
    /// tombstone if it has one. Never touches a known node.
    #[must_use]
    #[inline]
    pub const fn introduce() -> Self {
        Self {
            incarnation: Incarnation::ZERO,
            tag: INTRODUCE,
        }
    }

    /// Takes it apart.
    #[must_use]
    #[inline]
    pub const fn kind(self) -> ProposalKind {
        match self.tag & OTHERS {
            CONFIRM => ProposalKind::Confirm(self.incarnation),
            REJOIN => ProposalKind::Rejoin(self.incarnation),
            INTRODUCE => ProposalKind::Introduce,
            _ => ProposalKind::Claim(Claim::of_tag(self.tag, self.incarnation)),
        }
    }

    /// Whether the time of a death matters to it.
    #[inline]
    pub(crate) const fn is_rejoin(self) -> bool {
        self.tag & OTHERS == REJOIN
    }

    /// What it amounts to as a claim, for whoever is asked to refute it.
    #[must_use]
    pub fn as_claim(self) -> Claim {
        match self.kind() {
            ProposalKind::Claim(claim) => claim,
            ProposalKind::Confirm(incarnation) | ProposalKind::Rejoin(incarnation) => {
                Claim::alive(incarnation)
            }
            ProposalKind::Introduce => Claim::unconfirmed(0),
        }
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

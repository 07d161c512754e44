//! Proposals: everything a caller can ask the table to hold.
#![forbid(unsafe_code)]

use core::fmt;

use super::{Claim, Incarnation};

/// A change that a caller proposes: a claim, hearsay, first-hand contact, a rejoin, an introduction.
///
/// Two numbers, so that it travels in two registers down to where it is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    incarnation: Incarnation,
    /// A claim's tag, or one of the constants below.
    tag: u8,
}

/// Tags of the proposals that are not claims. No claim's tag has one of these bits.
const CONFIRM: u8 = 0x10;
const REJOIN: u8 = 0x20;
const INTRODUCE: u8 = 0x30;
/// Stands beside the rank of the claim that was heard.
const HEAR: u8 = 0x40;
const OTHERS: u8 = 0x70;

/// A [`Proposal`] taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProposalKind {
    /// A claim, by gossip or trusted.
    Claim(Claim),
    /// A third party's claim, never trusted.
    Hear(Claim),
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

    /// What a third party says of a node. *Hearsay introduces, it never confirms*: an unknown node
    /// enters Unconfirmed, an Unconfirmed node stays as it is, and any other node merges the claim by
    /// the ordinary rule. The claim's [trusted](Claim::trusted) mark is ignored.
    #[must_use]
    #[inline]
    pub const fn hear(claim: Claim) -> Self {
        Self {
            incarnation: claim.incarnation(),
            tag: HEAR | claim.rank(),
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
            HEAR => ProposalKind::Hear(Claim::of_tag(self.tag & !OTHERS, self.incarnation)),
            _ => ProposalKind::Claim(Claim::of_tag(self.tag, self.incarnation)),
        }
    }

    /// Whether the time of a death matters to it.
    #[inline]
    pub(crate) const fn is_rejoin(self) -> bool {
        self.tag & OTHERS == REJOIN
    }

    /// Whether the tombstone of a node that is stored as Unconfirmed matters to it. First-hand
    /// contact overrides that tombstone, and hearsay never changes an Unconfirmed node.
    #[inline]
    pub(crate) const fn needs_tombstone_of_unconfirmed(self) -> bool {
        !matches!(self.tag & OTHERS, CONFIRM | HEAR)
    }

    /// The claim that the local node is asked to answer when the proposal is about it.
    #[must_use]
    pub fn as_claim(self) -> Claim {
        match self.kind() {
            ProposalKind::Claim(claim) | ProposalKind::Hear(claim) => claim,
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

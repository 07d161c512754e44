//! The local node's own incarnation: the one number that only this node raises, to refute what others
//! say of it (SWIM, section 4.2). The tracker's builder makes it; gossip threads use it through
//! [`IncarnationTracker::local`](crate::IncarnationTracker::local).
//!
//! One atomic number. Every refutation gets an incarnation of its own, above the accusation and above all
//! that were given out before. With a durable incarnation, the disk records an incarnation before it is
//! given out or seen.
#![forbid(unsafe_code)]

use core::fmt;

#[cfg(feature = "persist")]
use crate::persist::{DurableIncarnation, PersistError, Reservation};
use crate::rule::{Claim, Incarnation, Policy, Status};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The local node's own incarnation.
///
/// A tracker that was built without [`local_node`](crate::Builder::local_node) has one, too: it
/// counts from `local_incarnation`, but no claim is recognised as being about it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use incarnation::{Answer, Claim, IncarnationTracker, Timestamp, Verdict};
/// let me: std::net::SocketAddr = "10.0.0.1:7946".parse()?;
/// let tracker = IncarnationTracker::builder().local_node(me).build()?;
///
/// if let Verdict::AboutSelf { accused } = tracker.hear(&me, Claim::suspect(4), Timestamp::ZERO)
///     && let Answer::Refuted(mine) = tracker.local().answer(accused)?
/// {
///     assert_eq!(mine.get(), 5); // now gossip Claim::alive(mine)
/// }
/// # Ok(()) }
/// ```
pub struct Local {
    /// The incarnation, and [`LEFT`] once the node has left.
    current: AtomicU64,
    max: u64,
    refute_limit: u64,
    /// Not the facade's: nothing depends on it, and the model checker would explore it.
    overtaken: core::sync::atomic::AtomicU64,
    #[cfg(feature = "persist")]
    reservation: Option<Reservation>,
}

/// Set in the number beside the incarnation, which never reaches so far, once the node has left: so no refutation
/// comes between leaving and the incarnation that it is announced at.
const LEFT: u64 = 1 << 63;

/// What [`Local::answer`] did about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a new incarnation must be gossiped"]
#[non_exhaustive]
pub enum Answer {
    /// The claim is not above `Alive` at the current incarnation: an echo of this node's own gossip, or
    /// old news. Or the node has [left](Local::leave). Nothing was changed.
    NotNeeded,
    /// The accusation is refuted. Gossip this node as Alive at this incarnation.
    Refuted(Incarnation),
    /// The claim says *Alive*, above the incarnation that this node ever gave out. The node moved
    /// above it: gossip this node as Alive at this incarnation.
    ///
    /// Such a claim comes from an earlier run of this node, once. It comes again and again while a
    /// second process uses the same key: then both raise their incarnation for ever.
    /// [`Stats::overtaken`](crate::Stats::overtaken) counts them.
    Overtaken(Incarnation),
}

impl Answer {
    /// The incarnation to gossip, if there is a new one.
    #[must_use]
    pub const fn incarnation(self) -> Option<Incarnation> {
        match self {
            Self::NotNeeded => None,
            Self::Refuted(incarnation) | Self::Overtaken(incarnation) => Some(incarnation),
        }
    }
}

/// Why [`Local::answer`], [`Local::refute`] or [`Local::advance_to`] gave out no incarnation. The current
/// one stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalError {
    /// The incarnation needed would be above `max_incarnation`.
    Exhausted {
        /// The `max_incarnation` of the tracker.
        max: Incarnation,
    },
    /// The accusation is more than `refute_limit` above the node's own incarnation. If it is known to be
    /// honest (the node lost the record of its incarnation),
    /// [`advance_to`](Local::advance_to) takes the node there.
    SuspiciousAccusation {
        /// The node's own incarnation.
        own: Incarnation,
        /// The incarnation that it was accused at.
        accused: Incarnation,
        /// The `refute_limit` of the tracker.
        limit: u64,
    },
    /// The node has [left](Local::leave).
    Left,
    /// The incarnation could not be made safe on disk, so it was not given out. The next attempt
    /// tries anew.
    #[cfg(feature = "persist")]
    Unreserved(PersistError),
}

impl Local {
    /// A node that starts at `start` and remembers nothing across restarts.
    pub(crate) fn new(start: Incarnation, policy: &Policy) -> Self {
        Self {
            current: AtomicU64::new(start.get()),
            max: policy.max_incarnation.get(),
            refute_limit: policy.refute_limit,
            overtaken: core::sync::atomic::AtomicU64::new(0),
            #[cfg(feature = "persist")]
            reservation: None,
        }
    }

    /// A node that starts above every incarnation that an earlier run may have used, or at `first` if
    /// there was no earlier run. Writes to the disk.
    #[cfg(feature = "persist")]
    pub(crate) fn durable(
        durable: DurableIncarnation,
        first: Incarnation,
        policy: &Policy,
    ) -> Result<Self, PersistError> {
        let (start, reservation) = durable.begin(first, policy)?;
        Ok(Self {
            reservation: Some(reservation),
            ..Self::new(start, policy)
        })
    }

    /// The incarnation to announce. One atomic load.
    #[must_use]
    #[inline]
    pub fn current(&self) -> Incarnation {
        // Acquire: a thread that sees an incarnation comes after the disk write that reserved it. Pinned by
        // `local::an_incarnation_is_seen_after_it_was_reserved`.
        Incarnation::new(self.current.load(Ordering::Acquire) & !LEFT)
    }

    /// Whether the node has [left](Self::leave). One atomic load.
    #[must_use]
    pub fn has_left(&self) -> bool {
        // Relaxed: a flag that orders nothing.
        self.current.load(Ordering::Relaxed) & LEFT != 0
    }

    /// Leaves the cluster for good: returns the claim to gossip, [`Claim::left`] at the current incarnation. From then on
    /// [`answer`](Self::answer) answers nothing, so no refutation takes the farewell back; `refute` and `advance_to`
    /// are [`LocalError::Left`]. A new tracker is needed to come back.
    ///
    /// Lock-free: one atomic instruction. Leaving again returns the same claim.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use incarnation::{Answer, Claim, IncarnationTracker};
    /// let tracker: IncarnationTracker<u32> =
    ///     IncarnationTracker::builder().local_node(1).local_incarnation(3).build()?;
    /// assert_eq!(tracker.local().leave(), Claim::left(3));
    /// // A peer that missed the farewell suspects this node, and is right.
    /// assert_eq!(tracker.local().answer(Claim::suspect(3))?, Answer::NotNeeded);
    /// # Ok(()) }
    /// ```
    pub fn leave(&self) -> Claim {
        // Acquire: as in `current`; the incarnation that is announced is the last one given out. Nothing to release: it
        // was published before, and this exchange continues the release sequence.
        let before = self.current.fetch_or(LEFT, Ordering::Acquire);
        Claim::left(Incarnation::new(before & !LEFT))
    }

    /// How many answers were [`Overtaken`](Answer::Overtaken).
    pub(crate) fn overtaken(&self) -> u64 {
        // Relaxed: a number, and nothing else.
        self.overtaken.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Answers a claim about this node, if it needs an answer: as [`refute`](Self::refute), but only for a
    /// claim above `Alive` at the current incarnation. An echo of this node's own gossip and old news are
    /// [`NotNeeded`](Answer::NotNeeded). Gossip this node as Alive at the incarnation that comes back.
    ///
    /// Peers take an Alive claim by gossip only up to *their* `max_incarnation_jump` above what they know.
    /// Beyond it they refuse with [`SuspiciousJump`](crate::Rejection::SuspiciousJump) and learn the
    /// incarnation by contact: [`confirm`](crate::IncarnationTracker::confirm) is trusted. So after a far
    /// jump, contact peers rather than wait for gossip.
    ///
    /// One atomic step decides and raises: of several threads that are told of one accusation at once,
    /// one answers. Cost: a load, or that of `refute`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use incarnation::{Answer, Claim, IncarnationTracker};
    /// let tracker: IncarnationTracker = IncarnationTracker::builder().build()?;
    /// let local = tracker.local();
    /// assert_eq!(local.answer(Claim::alive(0))?, Answer::NotNeeded); // true
    /// assert_eq!(local.answer(Claim::suspect(0))?, Answer::Refuted(1.into()));
    /// assert_eq!(local.answer(Claim::suspect(0))?, Answer::NotNeeded); // refuted already
    /// // This node never said that: an earlier run of it did, or another process with its key.
    /// assert_eq!(local.answer(Claim::alive(7))?, Answer::Overtaken(8.into()));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`refute`](Self::refute).
    pub fn answer(&self, said: Claim) -> Result<Answer, LocalError> {
        let accused = said.incarnation();
        let needs_none = |own| (accused, said.status()) <= (own, Status::Alive);
        let raised = self.raise_unless(needs_none, |own| self.above(own, accused));
        let (own, is_new) = match raised {
            Err(LocalError::Left) => return Ok(Answer::NotNeeded),
            raised => raised?,
        };
        Ok(if !is_new {
            Answer::NotNeeded
        } else if said.status() == Status::Alive {
            // Relaxed: a number, and nothing else.
            self.overtaken
                .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            Answer::Overtaken(own)
        } else {
            Answer::Refuted(own)
        })
    }

    /// Moves to the incarnation after the higher of its own and `accused`, in one atomic step, and returns
    /// it. Gossip this node as Alive at it.
    ///
    /// Any number of threads may do so at once; each gets a different incarnation. An accusation
    /// below the current incarnation is answered with a new one all the same. Peers echo what they know of
    /// this node, so claims from peers belong to [`answer`](Self::answer): refuting echoes raises the
    /// incarnation with each.
    ///
    /// Lock-free: one compare-and-swap, more under contention. With a
    /// durable incarnation, a call that finds its block of reserved incarnations used
    /// up writes to the disk first, and other calls that need the next block wait for it.
    ///
    /// ```
    /// use incarnation::IncarnationTracker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().local_node(1).build()?;
    /// assert_eq!(tracker.local().refute(4)?.get(), 5); // above the accusation in one step
    /// assert_eq!(tracker.local().refute(0)?.get(), 6); // old news, and answered all the same
    /// assert!(tracker.local().refute(1 << 40).is_err()); // beyond `refute_limit`
    /// assert_eq!(tracker.local().current().get(), 6);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SuspiciousAccusation`](LocalError::SuspiciousAccusation) above the current incarnation plus
    /// [`refute_limit`](crate::Builder::refute_limit), [`Exhausted`](LocalError::Exhausted) at
    /// `max_incarnation`, and with a durable incarnation `Unreserved` if the disk refuses. Nothing has
    /// changed then.
    pub fn refute(&self, accused: impl Into<Incarnation>) -> Result<Incarnation, LocalError> {
        let accused = accused.into();
        let (own, _) = self.raise_unless(|_| false, |own| self.above(own, accused))?;
        Ok(own)
    }

    /// Moves to `incarnation`, or stays if the current one is not below it. Returns the current incarnation
    /// afterwards.
    ///
    /// For what a program learns of its own past after building: an operator's word, its own row in a
    /// snapshot, what peers say they hold of it. The caller is trusted: `refute_limit` does not
    /// apply. Cost: as [`refute`](Self::refute).
    ///
    /// ```
    /// use incarnation::IncarnationTracker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().local_node(1).build()?;
    /// assert_eq!(tracker.local().advance_to(1044)?.get(), 1044);
    /// assert_eq!(tracker.local().advance_to(7)?.get(), 1044); // never down
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Exhausted`](LocalError::Exhausted) above `max_incarnation`, [`Left`](LocalError::Left) after
    /// [`leave`](Self::leave), and with a durable incarnation `Unreserved` if the disk refuses. Nothing has changed then.
    pub fn advance_to(
        &self,
        incarnation: impl Into<Incarnation>,
    ) -> Result<Incarnation, LocalError> {
        let goal = incarnation.into();
        let (own, _) = self.raise_unless(|own| own >= goal, |_| self.in_range(Some(goal.get())))?;
        Ok(own)
    }

    /// The incarnation that refutes an accusation.
    fn above(&self, own: u64, accused: Incarnation) -> Result<u64, LocalError> {
        if accused.get() > own.saturating_add(self.refute_limit) {
            return Err(LocalError::SuspiciousAccusation {
                own: Incarnation::new(own),
                accused,
                limit: self.refute_limit,
            });
        }
        self.in_range(own.max(accused.get()).checked_add(1))
    }

    fn in_range(&self, next: Option<u64>) -> Result<u64, LocalError> {
        match next {
            Some(next) if next <= self.max => Ok(next),
            _ => Err(LocalError::Exhausted {
                max: Incarnation::new(self.max),
            }),
        }
    }

    /// Raises the incarnation to what `next` makes of it, unless `is_enough` says that it will do. Returns
    /// the incarnation afterwards, and whether this call raised it.
    fn raise_unless(
        &self,
        is_enough: impl Fn(Incarnation) -> bool,
        next: impl Fn(u64) -> Result<u64, LocalError>,
    ) -> Result<(Incarnation, bool), LocalError> {
        // Acquire, as in `current`. Pinned by `local::a_thread_that_advances_sees_what_was_reserved`.
        let mut own = self.current.load(Ordering::Acquire);
        loop {
            if own & LEFT != 0 {
                return Err(LocalError::Left);
            }
            if is_enough(Incarnation::new(own)) {
                return Ok((Incarnation::new(own), false));
            }
            let next = next(own)?;
            #[cfg(feature = "persist")]
            if let Some(reservation) = &self.reservation {
                reservation.cover(next).map_err(LocalError::Unreserved)?;
            }
            match self.current.compare_exchange_weak(
                own,
                next,
                // Release: publishes the incarnation after what reserved it.
                Ordering::Release,
                // Acquire: another's incarnation was seen, as in `current`.
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok((Incarnation::new(next), true)),
                Err(newer) => own = newer,
            }
        }
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Local");
        debug.field("current", &self.current());
        #[cfg(feature = "persist")]
        debug.field("reservation", &self.reservation);
        debug.finish_non_exhaustive()
    }
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { max } => {
                write!(
                    f,
                    "the next incarnation would be above max_incarnation ({max})"
                )
            }
            Self::Left => f.write_str("the local node has left"),
            Self::SuspiciousAccusation {
                own,
                accused,
                limit,
            } => write!(
                f,
                "accused at incarnation {accused}, more than refute_limit ({limit}) above its own {own}; if that is honest, use advance_to"
            ),
            #[cfg(feature = "persist")]
            Self::Unreserved(error) => write!(f, "incarnation not reserved: {error}"),
        }
    }
}

impl core::error::Error for LocalError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            #[cfg(feature = "persist")]
            Self::Unreserved(error) => Some(error),
            _ => None,
        }
    }
}

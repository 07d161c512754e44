//! The node's own incarnation: the one number that only this node raises, to refute what others
//! say of it (SWIM, section 4.2). The tracker's builder makes it; gossip threads use it through
//! [`IncarnationTracker::local`](crate::IncarnationTracker::local).
//!
//! One atomic. Every refutation gets an incarnation of its own, above all that were accused or
//! given out before. With a durable incarnation none is given out, nor seen by anyone, before the
//! disk remembers it.
#![forbid(unsafe_code)]

use core::fmt;

#[cfg(feature = "persist")]
use crate::persist::{DurableIncarnation, PersistError, Reservation};
#[cfg(feature = "persist")]
use crate::rule::Policy;
use crate::rule::{Claim, Incarnation, Status};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The local node's own incarnation.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use incarnation::{Claim, IncarnationTracker, Timestamp, Verdict};
/// let me: std::net::SocketAddr = "10.0.0.1:7946".parse()?;
/// let tracker = IncarnationTracker::builder().local_node(me).build()?;
///
/// if let Verdict::AboutSelf { accused } = tracker.update(&me, Claim::suspect(4), Timestamp::ZERO)
///     && let Some(mine) = tracker.local().answer(accused)?
/// {
///     assert_eq!(mine.get(), 5); // now gossip Claim::alive(mine)
/// }
/// # Ok(()) }
/// ```
pub struct Local {
    current: AtomicU64,
    max: u64,
    max_jump: u64,
    #[cfg(feature = "persist")]
    reservation: Option<Reservation>,
}

/// Why [`Local::answer`] or [`Local::refute`] gave out no incarnation. The current one stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalError {
    /// The refutation would need an incarnation above `max_incarnation`.
    Exhausted,
    /// The accusation is more than `max_incarnation_jump` above the node's own incarnation. Nobody
    /// honest can have seen that one, and peers would refuse to follow.
    SuspiciousAccusation {
        /// The node's own incarnation.
        own: Incarnation,
        /// The one it was accused at.
        accused: Incarnation,
    },
    /// The incarnation could not be made safe on disk, so it was not given out. The next attempt
    /// tries anew.
    #[cfg(feature = "persist")]
    Unreserved(PersistError),
}

impl Local {
    /// A node that starts at `start` and remembers nothing across restarts.
    pub(crate) fn new(start: Incarnation, max: Incarnation, max_jump: u64) -> Self {
        Self {
            current: AtomicU64::new(start.get()),
            max: max.get(),
            max_jump,
            #[cfg(feature = "persist")]
            reservation: None,
        }
    }

    /// A node that starts above all it may have used before, or at `first` if there is no before.
    /// Writes to the disk.
    #[cfg(feature = "persist")]
    pub(crate) fn durable(
        durable: DurableIncarnation,
        first: Incarnation,
        policy: &Policy,
    ) -> Result<Self, PersistError> {
        let (start, reservation) = durable.begin(first, policy)?;
        Ok(Self {
            reservation: Some(reservation),
            ..Self::new(start, policy.max_incarnation, policy.max_incarnation_jump)
        })
    }

    /// The incarnation to announce. One atomic load.
    #[must_use]
    #[inline]
    pub fn current(&self) -> Incarnation {
        // Acquire: who sees an incarnation comes after the disk write that reserved it.
        Incarnation::new(self.current.load(Ordering::Acquire))
    }

    /// Answers what somebody says of this node, if it needs an answer: [`refute`](Self::refute) for a claim that is
    /// above `Alive` at the current incarnation; `None`, and nothing happens, for one that is not: an echo of this node's own
    /// gossip, or old news. Announce yourself Alive at the incarnation that it returns.
    ///
    /// Decided and raised in one atomic step: of threads that are told of one accusation at once, one answers.
    /// Cost: a load, or that of `refute`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use incarnation::{Claim, IncarnationTracker};
    /// let tracker: IncarnationTracker = IncarnationTracker::builder().build()?;
    /// let local = tracker.local();
    /// assert_eq!(local.answer(Claim::alive(0))?, None); // so it is
    /// assert_eq!(local.answer(Claim::suspect(0))?, Some(1.into()));
    /// assert_eq!(local.answer(Claim::suspect(0))?, None); // answered
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`refute`](Self::refute).
    pub fn answer(&self, said: Claim) -> Result<Option<Incarnation>, LocalError> {
        let accused = said.incarnation();
        let needs_none = |own| (accused, said.status()) <= (own, Status::Alive);
        let (own, is_new) = self.raise_unless(accused, needs_none)?;
        Ok(is_new.then_some(own))
    }

    /// Moves to the incarnation after the higher of its own and `accused`, in one atomic step, and returns it. Announce
    /// yourself Alive at it.
    ///
    /// Any number of threads may do so at once; each gets a different incarnation. An accusation
    /// below the current incarnation is answered with a new one all the same. Where claims come from peers,
    /// who echo what they know of this node, use [`answer`](Self::answer): who refutes echoes raises its incarnation with each.
    ///
    /// Lock-free: one compare-and-swap, more under contention. With a
    /// durable incarnation, a call that finds its block of reserved incarnations used
    /// up writes to the disk first, and calls in the same need wait for it.
    ///
    /// ```
    /// use incarnation::IncarnationTracker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().local_node(1).build()?;
    /// assert_eq!(tracker.local().refute(4)?.get(), 5); // above the accusation in one step
    /// assert_eq!(tracker.local().refute(0)?.get(), 6); // old news, and answered all the same
    /// assert!(tracker.local().refute(5_000).is_err()); // no honest node can have seen that
    /// assert_eq!(tracker.local().current().get(), 6);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SuspiciousAccusation`](LocalError::SuspiciousAccusation) above the current incarnation plus
    /// `max_incarnation_jump`, [`Exhausted`](LocalError::Exhausted) at `max_incarnation`, and with a
    /// durable incarnation `Unreserved` if the disk refuses. Nothing has changed then.
    pub fn refute(&self, accused: impl Into<Incarnation>) -> Result<Incarnation, LocalError> {
        let (own, _) = self.raise_unless(accused.into(), |_| false)?;
        Ok(own)
    }

    /// The incarnation after a refutation of `accused`, and whether there was one; none is needed if `is_enough` says so
    /// of the current one.
    fn raise_unless(
        &self,
        accused: Incarnation,
        is_enough: impl Fn(Incarnation) -> bool,
    ) -> Result<(Incarnation, bool), LocalError> {
        // Acquire, as in `current`.
        let mut own = self.current.load(Ordering::Acquire);
        loop {
            if is_enough(Incarnation::new(own)) {
                return Ok((Incarnation::new(own), false));
            }
            if accused.get() > own.saturating_add(self.max_jump) {
                return Err(LocalError::SuspiciousAccusation {
                    own: Incarnation::new(own),
                    accused,
                });
            }
            let next = match own.max(accused.get()).checked_add(1) {
                Some(next) if next <= self.max => next,
                _ => return Err(LocalError::Exhausted),
            };
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
            Self::Exhausted => f.write_str("no incarnation left to refute with"),
            Self::SuspiciousAccusation { own, accused } => write!(
                f,
                "accused at incarnation {accused}, too far above its own {own} to be honest"
            ),
            #[cfg(feature = "persist")]
            Self::Unreserved(error) => write!(f, "incarnation not reserved: {error}"),
        }
    }
}

// What a disk refused is part of the message, so there is no `source`.
impl core::error::Error for LocalError {}

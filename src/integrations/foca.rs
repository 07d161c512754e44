//! For programs that run the SWIM engine [foca] and mirror its members for their other
//! threads (feature `foca`): a tracker kept equal to foca's own list, in place of a map behind a lock.
//!
//! foca is one thread's. Its notifications tell who came up and who went down, but not who is suspected,
//! at which incarnation, refuted, or forgotten; so after each call into foca the mirror is
//! [reconciled](Mirror::reconcile) with the list itself:
//!
//! ```
//! # use ::foca::{Codec, Config, Foca, Header, Member, NoCustomBroadcast, Notification, Runtime, State, Timer};
//! # use std::time::Duration;
//! # struct Silent;
//! # impl<T> Codec<T> for Silent {
//! #     type Error = std::convert::Infallible;
//! #     fn encode_header(&mut self, _: &Header<T>, _: impl bytes::BufMut) -> Result<(), Self::Error> { Ok(()) }
//! #     fn decode_header(&mut self, _: impl bytes::Buf) -> Result<Header<T>, Self::Error> { unreachable!() }
//! #     fn encode_member(&mut self, _: &Member<T>, _: impl bytes::BufMut) -> Result<(), Self::Error> { Ok(()) }
//! #     fn decode_member(&mut self, _: impl bytes::Buf) -> Result<Member<T>, Self::Error> { unreachable!() }
//! # }
//! # struct Sockets;
//! # impl<T: ::foca::Identity> Runtime<T> for Sockets {
//! #     fn notify(&mut self, _: Notification<'_, T>) {}
//! #     fn send_to(&mut self, _: T, _: &[u8]) {}
//! #     fn submit_after(&mut self, _: Timer<T>, _: Duration) {}
//! # }
//! use incarnation::foca::{self, Mirror};
//! use incarnation::{Clock, Status};
//! use std::net::SocketAddr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let me: SocketAddr = "10.0.0.1:7946".parse()?;
//! # let peer: SocketAddr = "10.0.0.2:7946".parse()?;
//! # let rng: rand::rngs::SmallRng = rand::SeedableRng::seed_from_u64(1);
//! # let mut engine = Foca::new(me, Config::simple(), rng, Silent);
//! # let mut sockets = Sockets;
//! # let clock = Clock::monotonic();
//! let tracker = foca::builder(10_000).build()?;              // clone it to whoever reads
//! let mut mirror = Mirror::new(tracker.clone(), |identity: &SocketAddr| *identity);
//!
//! // Around each call into foca: the runtime is wrapped, and then the lists are made equal.
//! # let heard = std::iter::once(Member::new(peer, 3, State::Suspect));
//! engine.apply_many(heard, true, mirror.watch(&mut sockets))?;
//! let report = mirror.reconcile(engine.iter_membership_state(), clock.now());
//! assert_eq!((report.joined, report.left_out), (1, 0));
//!
//! // On any thread:
//! let state = tracker.get(&peer).ok_or("unknown")?;
//! assert_eq!((state.status, foca::split(state.incarnation)), (Status::Suspect, (0, 3)));
//! # Ok(()) }
//! ```
//!
//! foca has a dialect of its own. *Down* wins at any incarnation and stays, until foca forgets the member, and
//! an identity that renews itself begins at incarnation 0 again. So what the tracker stores is a pair, see
//! [`split`]: a generation, local to this mirror, in the high bits, and foca's 16-bit incarnation in the low
//! ones. The generation goes up whenever foca's own number would have the state fall, so the pair never does.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::collections::HashSet;

use ::foca::{Identity, Member, Notification, Runtime, State, Timer};

use crate::hash::RandomState;
use crate::rule::{Claim, Incarnation, Status};
use crate::time::Timestamp;
use crate::tracker::{Builder, IncarnationTracker, NodeHandle};

/// The bits of foca's own incarnation.
const OWN_BITS: u32 = u16::BITS;

/// The limits of a tracker that mirrors at most so many members: it keeps no tombstones and evicts nobody, since
/// whom to forget is foca's decision. Set no [`local_node`](Builder::local_node) on it: foca's list is without
/// its own node, but may hold a former identity of it.
pub fn builder<K>(members: usize) -> Builder<K>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
{
    IncarnationTracker::builder()
        .max_nodes(members)
        .hard_limit(members)
        .eviction_headroom(0)
        .max_tombstones(0)
        .dead_retention(Duration::MAX)
        .unconfirmed_timeout(None)
        .suspect_timeout(None)
}

/// What an incarnation stored by a mirror is made of: how often the member began anew, and foca's own number.
///
/// ```
/// use incarnation::Incarnation;
/// assert_eq!(incarnation::foca::split(Incarnation::new((2 << 16) + 7)), (2, 7));
/// ```
#[must_use]
pub const fn split(stored: Incarnation) -> (u64, ::foca::Incarnation) {
    (stored.get() >> OWN_BITS, stored.get() as u16)
}

/// Keeps a tracker equal to the members of one foca instance. See the [module](self) for how it is used.
///
/// It must be the only one who writes to the tracker. It holds no state of any member, only handles into the
/// tracker, in the order in which foca lists its members.
pub struct Mirror<K, F, D = (), S = RandomState> {
    tracker: IncarnationTracker<K, D, S>,
    key: F,
    /// Of the members that were at these places of foca's list the last time.
    places: Vec<NodeHandle<K, D, S>>,
    /// Members that changed their identity since.
    renamed: HashSet<K>,
    /// The generation that members begin with: above that of any that was forgotten.
    first_generation: u64,
}

impl<K: fmt::Debug, F, D, S> fmt::Debug for Mirror<K, F, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("members", &self.places.len())
            .field("renamed", &self.renamed.len())
            .field("first_generation", &self.first_generation)
            .finish_non_exhaustive()
    }
}

/// What a reconciliation changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "members may be left out"]
pub struct Reconciled {
    /// Members that foca came to know.
    pub joined: usize,
    /// Members whose state, incarnation or identity changed.
    pub changed: usize,
    /// Members that foca forgot.
    pub forgotten: usize,
    /// Members that the tracker has no room for, or whose key is its local node's. They are tried again
    /// each time.
    pub left_out: usize,
}

impl<K, F, D, S> Mirror<K, F, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A mirror of a foca instance that knows nobody yet, or whose members the first reconciliation enters.
    ///
    /// `key` names a member by its identity. It must give what has one [`addr`](Identity::addr) one key, and
    /// different addresses different keys.
    pub fn new(tracker: IncarnationTracker<K, D, S>, key: F) -> Self {
        Self {
            tracker,
            key,
            places: Vec::new(),
            renamed: HashSet::new(),
            first_generation: 0,
        }
    }

    /// The tracker it keeps.
    pub const fn tracker(&self) -> &IncarnationTracker<K, D, S> {
        &self.tracker
    }

    /// Wraps the runtime of one call into foca: everything is passed on to it, and renewed identities are
    /// noted for the reconciliation that follows.
    pub fn watch<T, R>(&mut self, runtime: R) -> Watched<'_, K, F, D, S, R>
    where
        T: Identity,
        F: Fn(&T) -> K,
        R: Runtime<T>,
    {
        Watched {
            mirror: self,
            runtime,
        }
    }

    /// Makes the tracker equal to foca's list. To be called after each call into foca that may have changed it
    /// (`handle_data`, `handle_timer`, `apply_many`, ...), also if that failed, since it may have got half way;
    /// or less often, if readers may lag behind.
    ///
    /// Cost: one step a member, which calls `key` and reads the state by a handle: 3.4 ns (of 1,000 members and
    /// of 10,000, on the machine of docs/performance.md). foca shuffles its list once a round of probes; then each takes a lookup and
    /// a clone of its key, once: 27 to 30 ns. Nothing is written for members that did not change, and readers
    /// never wait.
    pub fn reconcile<'m, T>(
        &mut self,
        members: impl IntoIterator<Item = &'m Member<T>>,
        now: Timestamp,
    ) -> Reconciled
    where
        T: Identity + 'm,
        F: Fn(&T) -> K,
    {
        let mut report = Reconciled::default();
        let mut refused = Vec::new();
        let mut place = 0;
        for member in members {
            let key = (self.key)(member.id());
            if !self.is_as_before(place, &key, member) {
                let Some(handle) = self.write(&key, member, now, &mut report) else {
                    refused.push((key, member));
                    continue;
                };
                match self.places.get_mut(place) {
                    Some(there) => *there = handle,
                    None => self.places.push(handle),
                }
            }
            place += 1;
        }
        self.places.truncate(place);
        // Everybody at a place is in the tracker, so there are others only if there are more.
        if self.tracker.len() > place {
            report.forgotten = self.forget_others();
        }
        for (key, member) in refused {
            match self.write(&key, member, now, &mut report) {
                Some(handle) => self.places.push(handle),
                None => report.left_out += 1,
            }
        }
        self.renamed.clear();
        report
    }

    /// Whether the member was at this place, in this state, and is still the same.
    fn is_as_before<T>(&self, place: usize, key: &K, member: &Member<T>) -> bool {
        !self.renamed.contains(key)
            && self.places.get(place).is_some_and(|handle| {
                handle.key() == key
                    && handle.state().is_some_and(|state| {
                        let own = split(state.incarnation).1;
                        (state.status, own) == (status(member.state()), member.incarnation())
                    })
            })
    }

    /// Has the tracker say what foca says of a member; `None` if it takes no such node.
    fn write<T>(
        &self,
        key: &K,
        member: &Member<T>,
        now: Timestamp,
        report: &mut Reconciled,
    ) -> Option<NodeHandle<K, D, S>> {
        let status = status(member.state());
        let at = |generation: u64| {
            Incarnation::new((generation << OWN_BITS) + u64::from(member.incarnation()))
        };
        let Some(known) = self.tracker.get(key) else {
            let claim = Claim::new(status, at(self.first_generation)).trusted();
            if !self.tracker.update(key, claim, now).accepted() {
                return None;
            }
            report.joined += 1;
            return self.tracker.handle(key);
        };
        let generation = split(known.incarnation).0;
        let target = (at(generation), status);
        let there = (known.incarnation, known.status);
        let is_renamed = self.renamed.contains(key);
        if is_renamed || target != there {
            let rises = target > there && !is_renamed;
            let incarnation = at(generation + u64::from(!rises));
            let claim = Claim::new(status, incarnation).trusted();
            if !self.tracker.update(key, claim, now).accepted() {
                return None;
            }
            report.changed += 1;
        }
        self.tracker.handle(key)
    }

    /// Takes out whoever is at no place.
    fn forget_others(&mut self) -> usize {
        let kept: HashSet<&K, crate::RandomState> =
            self.places.iter().map(NodeHandle::key).collect();
        let mut forgotten = 0;
        for (key, state) in self.tracker.iter() {
            if !kept.contains(&key) && self.tracker.forget(&key).is_some() {
                let next = split(state.incarnation).0 + 1;
                self.first_generation = self.first_generation.max(next);
                forgotten += 1;
            }
        }
        forgotten
    }
}

/// foca's states under SWIM's names.
const fn status(state: State) -> Status {
    match state {
        State::Alive => Status::Alive,
        State::Suspect => Status::Suspect,
        State::Down => Status::Dead,
    }
}

/// A runtime that passes everything on and has the mirror note renewed identities; made by
/// [`Mirror::watch`].
#[derive(Debug)]
pub struct Watched<'a, K, F, D, S, R> {
    mirror: &'a mut Mirror<K, F, D, S>,
    runtime: R,
}

impl<T, K: Eq + Hash, F, D, S, R> Runtime<T> for Watched<'_, K, F, D, S, R>
where
    T: Identity,
    F: Fn(&T) -> K,
    R: Runtime<T>,
{
    fn notify(&mut self, notification: Notification<'_, T>) {
        // The one thing that the list does not show: another identity, in the very same state.
        if let Notification::Rename(_, renewed) = notification {
            let renewed = (self.mirror.key)(renewed);
            self.mirror.renamed.insert(renewed);
        }
        self.runtime.notify(notification);
    }

    fn send_to(&mut self, to: T, data: &[u8]) {
        self.runtime.send_to(to, data);
    }

    fn submit_after(&mut self, event: Timer<T>, after: Duration) {
        self.runtime.submit_after(event, after);
    }
}

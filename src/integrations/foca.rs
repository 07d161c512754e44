//! A mirror of the members of the SWIM engine [foca](https://docs.rs/foca) for the other threads of a program (feature `foca`): a tracker
//! kept equal to foca's own list, in place of a map behind a lock.
//!
//! foca belongs to one thread. Its notifications tell which members came up and went down, but not which are suspected,
//! at which incarnation, refuted or forgotten. So [`Mirror::run`] wraps each call into foca and compares the tracker
//! with foca's list afterwards:
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
//! let tracker = foca::builder(10_000).build()?;              // clone it for each reader
//! let mut mirror = Mirror::new(tracker.clone(), |identity: &SocketAddr| *identity);
//!
//! // Each call into foca: `runtime` stands for the sockets and passes everything on to them.
//! # let heard = std::iter::once(Member::new(peer, 3, State::Suspect));
//! let (result, report) = mirror.run(&mut engine, &mut sockets, clock.now(), |engine, runtime| {
//!     engine.apply_many(heard, true, runtime)
//! });
//! result?;
//! assert_eq!((report.joined, report.left_out), (1, 0));
//!
//! // On any thread:
//! let state = tracker.get(&peer).ok_or("unknown")?;
//! assert_eq!(state.status, Status::Suspect);
//! # Ok(()) }
//! ```
//!
//! foca's rules are its own. *Down* wins at any incarnation and stays until foca forgets the member, and an identity that
//! renews itself begins at incarnation 0 again. So the tracker shows incarnations of the mirror's own, which never fall:
//! see [`crate::mirror`], which also says what becomes of two members with one key and of members without room.
//! [`Mirror::number`] tells foca's incarnation of a member.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::collections::HashSet;

use ::foca::{
    BroadcastHandler, Codec, Foca, Identity, Member, Notification, Runtime, State, Timer,
};

use crate::hash::RandomState;
use crate::mirror::{self, MemberChange, Observed};
use crate::rule::Status;
use crate::time::Timestamp;
use crate::tracker::{IncarnationTracker, Slot};

pub use crate::mirror::{Reconciled, builder};

/// Keeps a tracker equal to the members of one foca instance. See the [module](self) for how it is used.
///
/// It must be the only writer of the tracker.
pub struct Mirror<K, F, D = (), S = RandomState> {
    members: mirror::Mirror<K, D, S>,
    key: F,
    /// Keys of the members that changed their identity since the last reconciliation.
    renamed: HashSet<K>,
}

impl<K: fmt::Debug, F, D, S> fmt::Debug for Mirror<K, F, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("members", &self.members)
            .field("renamed", &self.renamed)
            .finish_non_exhaustive()
    }
}

impl<K, F, D, S> Mirror<K, F, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A mirror of a foca instance without members, or whose members the first reconciliation enters.
    ///
    /// `key` names a member by its identity: by its address, or by a name that may move to another address.
    pub fn new(tracker: IncarnationTracker<K, D, S>, key: F) -> Self {
        Self {
            members: mirror::Mirror::new(tracker),
            key,
            renamed: HashSet::new(),
        }
    }

    /// The tracker that the mirror writes to.
    pub const fn tracker(&self) -> &IncarnationTracker<K, D, S> {
        self.members.tracker()
    }

    /// foca's incarnation of the member that is shown under a key. Cost: a lookup.
    #[must_use]
    pub fn number(&self, key: &K) -> Option<::foca::Incarnation> {
        // It was made of one.
        self.members
            .number(key)
            .map(|number| number as ::foca::Incarnation)
    }

    /// Calls into foca (`handle_data`, `handle_timer`, `apply_many`, ...), and then makes the tracker equal to its list,
    /// also if the call failed. `call` gets the engine and a runtime that passes everything on to `runtime`.
    ///
    /// This is the usual way of use: no call can be left without its reconciliation. Cost: that of the call, and a lookup
    /// a member.
    pub fn run<T, C, RNG, B, R, O>(
        &mut self,
        engine: &mut Foca<T, C, RNG, B>,
        runtime: R,
        now: Timestamp,
        call: impl FnOnce(&mut Foca<T, C, RNG, B>, Watched<'_, K, F, D, S, R>) -> O,
    ) -> (O, Reconciled)
    where
        T: Identity,
        C: Codec<T, Error: core::error::Error>,
        RNG: rand::RngExt,
        B: BroadcastHandler<T, Error: core::error::Error + 'static>,
        F: Fn(&T) -> K,
        R: Runtime<T>,
    {
        let result = call(engine, self.watch(runtime));
        let report = self.reconcile(engine.iter_membership_state(), now);
        (result, report)
    }

    /// Wraps the runtime of one call into foca: everything is passed on to it, and renewed identities are noted for the
    /// reconciliation that follows. For programs that make several calls before they [reconcile](Self::reconcile).
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

    /// Makes the tracker equal to foca's list, after a call that [`watch`](Self::watch) wrapped; readers lag behind until
    /// then. Cost: as [`mirror::Mirror::reconcile`].
    pub fn reconcile<'m, T>(
        &mut self,
        members: impl IntoIterator<Item = &'m Member<T>>,
        now: Timestamp,
    ) -> Reconciled
    where
        T: Identity + 'm,
        F: Fn(&T) -> K,
    {
        self.reconcile_with(members, now, |_, _, _| {})
    }

    /// The same, and calls `on_change` for each member that joins, changes or leaves the tracker, as
    /// [`mirror::Mirror::reconcile_with`] does.
    pub fn reconcile_with<'m, T>(
        &mut self,
        members: impl IntoIterator<Item = &'m Member<T>>,
        now: Timestamp,
        on_change: impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> Reconciled
    where
        T: Identity + 'm,
        F: Fn(&T) -> K,
    {
        let Self {
            members: mirror,
            key,
            renamed,
        } = self;
        let observed = members.into_iter().map(|member| {
            let key = key(member.id());
            let renewed = !renamed.is_empty() && renamed.contains(&key);
            let number = u64::from(member.incarnation());
            Observed::from((key, status(member.state()), number, renewed))
        });
        let report = mirror.reconcile_with(observed, now, on_change);
        renamed.clear();
        report
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
        // The list does not show that a member is another one, if it is in the very same state.
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

//! A node of the protocol: what it is made of, how it joins and leaves, and how its datagrams are
//! filled. What it does with datagrams is in `receive` and `hearing`, with time in `timer`.

use core::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use incarnation::{Claim, IncarnationTracker, Status, Timestamp, Verdict, View};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::config::{Config, ConfigError};
use crate::gossip::{Gossip, Sent};
use crate::health::Health;
use crate::probing::Probing;
use crate::stats::{Stats, StatusCounts};
use crate::timer::Timers;
use crate::wire::{Item, Message, Writer, is_addressable};

/// The tracker's view, by the keys of this protocol.
pub(crate) type Members<'a> = View<'a>;

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// To whom.
    pub to: SocketAddr,
    /// At most [`Config::max_datagram`] of them.
    pub bytes: Vec<u8>,
}

/// How far a node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Waiting for a member to let it in. It already answers whoever speaks to it.
    Joining,
    /// A member.
    Member,
    /// It has told the others that it leaves.
    Leaving,
}

/// A node of the protocol. See the [crate's documentation](crate).
///
/// What it holds besides its tracker: probes under way, times, a random number generator, the
/// addresses it was configured with, and for each node of which there is news, how often it was sent.
pub struct Protocol {
    pub(crate) tracker: IncarnationTracker<SocketAddr>,
    pub(crate) me: SocketAddr,
    pub(crate) config: Config,
    phase: AtomicU8,
    seeds: Mutex<Vec<SocketAddr>>,
    /// Until when it is new, in nanoseconds.
    new_until: AtomicU64,
    gossip: Mutex<Gossip>,
    pub(crate) probing: Mutex<Probing>,
    pub(crate) timers: Mutex<Timers>,
    random: Mutex<Pcg64Mcg>,
    pub(crate) health: Health,
    /// Whole states sent on request in this period.
    pub(crate) syncs: AtomicU32,
    pub(crate) counters: StatusCounts,
}

/// Locks. What these mutexes guard is valid between any two operations on it, so a thread that
/// panicked elsewhere is no reason to stop.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Protocol {
    /// A node at the address `me`, which must be the tracker's local node: the address at which
    /// peers reach it, and from which its datagrams come. `seed` makes its random choices; give each
    /// node another.
    ///
    /// # Errors
    ///
    /// What contradicts what in the configuration.
    pub fn new(
        tracker: IncarnationTracker<SocketAddr>,
        me: SocketAddr,
        config: Config,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let about_me = tracker.judge(&me, Claim::alive(0), Timestamp::ZERO);
        if !matches!(about_me, Verdict::AboutSelf { .. }) || !is_addressable(me) {
            return Err(ConfigError::NotTheLocalNode);
        }
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        Ok(Self {
            phase: AtomicU8::new(Phase::Member as u8),
            seeds: Mutex::default(),
            new_until: AtomicU64::new(0),
            gossip: Mutex::new(Gossip::new()),
            probing: Mutex::new(Probing::new(random.next_u32())),
            timers: Mutex::new(Timers::new(tracker.probe_order())),
            random: Mutex::new(random),
            health: Health::new(config.max_health),
            syncs: AtomicU32::new(0),
            counters: StatusCounts::default(),
            tracker,
            me,
            config,
        })
    }

    /// Asks the `seeds` to let this node in; again in each period until one does, and whenever it
    /// finds itself alone. Without a seed but itself it is a member at once.
    pub fn join(
        &self,
        seeds: impl IntoIterator<Item = SocketAddr>,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        let usable = |seed: &SocketAddr| *seed != self.me && is_addressable(*seed);
        *lock(&self.seeds) = seeds.into_iter().filter(usable).collect();
        let alone = lock(&self.seeds).is_empty();
        let new_until = now + self.config.period * self.config.sync_periods.saturating_mul(2);
        self.new_until
            .store(new_until.as_nanos(), Ordering::Relaxed);
        self.enter(if alone { Phase::Member } else { Phase::Joining });
        self.knock(now, out);
    }

    /// Sends a join to each seed.
    pub(crate) fn knock(&self, now: Timestamp, out: &mut Vec<Datagram>) {
        let seeds = lock(&self.seeds).clone();
        for seed in seeds {
            // A seed that died long ago gets another chance: it was configured, not gossiped.
            let _ = self.tracker.add_unconfirmed(&seed, now);
            self.send(seed, Message::Join, &[], out);
        }
    }

    /// Knocks on one seed that is no member.
    pub(crate) fn knock_on_lost(&self, now: Timestamp, out: &mut Vec<Datagram>) {
        let seeds = lock(&self.seeds).clone();
        let mut lost = seeds;
        lost.retain(|seed| !self.tracker.can_suspect(seed));
        if lost.is_empty() || self.phase() == Phase::Leaving {
            return;
        }
        let seed = lost[(self.random() % lost.len() as u64) as usize];
        let _ = self.tracker.add_unconfirmed(&seed, now);
        self.send(seed, Message::Join, &[], out);
    }

    /// Leaves on purpose: tells some members, which tell the others. Keep handling datagrams and
    /// timers for a few periods, so that the news spreads even where datagrams get lost. Final: to
    /// come back, make a new node with a higher incarnation.
    pub fn leave(&self, out: &mut Vec<Datagram>) {
        self.enter(Phase::Leaving);
        self.announce(self.me);
        let told = self.config.transmissions(self.members()) as usize;
        let is_member = |status| matches!(status, Status::Alive | Status::Suspect);
        for (member, _) in self.sample(told, |_, status| is_member(status)) {
            self.send(member, Message::Gossip, &[], out);
        }
    }

    /// When a probe, this node's own or one for another node, wants the timer next. A datagram may bring that forward, and
    /// then the timer should be handled earlier than it asked for: else helpers say too late that they got no answer.
    #[must_use]
    pub fn probes_due(&self) -> Option<Timestamp> {
        lock(&self.probing).deadline()
    }

    /// How far this node has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        // Relaxed, here and below: it stands for itself.
        match self.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::Joining as u8 => Phase::Joining,
            phase if phase == Phase::Leaving as u8 => Phase::Leaving,
            _ => Phase::Member,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Whether it joined not long ago: two exchanges of whole states are due in that time.
    pub(crate) fn is_new(&self, now: Timestamp) -> bool {
        now.as_nanos() < self.new_until.load(Ordering::Relaxed)
    }

    /// A member has let this node in.
    pub(crate) fn joined(&self) {
        let _ = self.phase.compare_exchange(
            Phase::Joining as u8,
            Phase::Member as u8,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// All that is known of the members.
    #[must_use]
    pub const fn tracker(&self) -> &IncarnationTracker<SocketAddr> {
        &self.tracker
    }

    /// This node's own address.
    #[must_use]
    pub const fn me(&self) -> SocketAddr {
        self.me
    }

    /// What it runs with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What it has counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// How badly it does itself: 0 is well, [`Config::max_health`] the worst (Lifeguard, section IV-A).
    #[must_use]
    pub fn health(&self) -> u32 {
        self.health.score()
    }

    /// How many nodes there is news of.
    #[must_use]
    pub fn pending_news(&self) -> usize {
        lock(&self.gossip).len()
    }

    /// How large the group is, itself included: those that may be alive.
    pub(crate) fn members(&self) -> usize {
        let counts = self.tracker.counts();
        counts.alive + counts.suspect + 1
    }

    /// What this node says of itself.
    pub(crate) fn own_claim(&self) -> Claim {
        let status = match self.phase() {
            Phase::Leaving => Status::Left,
            _ => Status::Alive,
        };
        Claim::new(status, self.tracker.local().current())
    }

    /// There is news of a node, to be passed on.
    pub(crate) fn announce(&self, node: SocketAddr) {
        lock(&self.gossip).announce(node, self.tracker.capacity());
    }

    pub(crate) fn random(&self) -> u64 {
        lock(&self.random).next_u64()
    }

    /// Up to `k` nodes chosen at random.
    pub(crate) fn sample(
        &self,
        k: usize,
        filter: impl Fn(&SocketAddr, Status) -> bool,
    ) -> Vec<(SocketAddr, Claim)> {
        let mut random = lock(&self.random);
        let sample = self.tracker.sample(
            k,
            || random.next_u64(),
            |node, state| filter(node, state.status),
        );
        sample
            .into_iter()
            .map(|(node, state)| (node, state.claim()))
            .collect()
    }

    /// Sends a message with as many claims as fit: those it is asked to tell first, then what the
    /// receiver must know of itself (Lifeguard's buddy system, section IV-C), then news.
    pub(crate) fn send(
        &self,
        to: SocketAddr,
        message: Message,
        first: &[Item],
        out: &mut Vec<Datagram>,
    ) {
        let mut writer = self.writer(message);
        for item in first {
            if !writer.push(*item) {
                break;
            }
        }
        let view = self.tracker.pin();
        if let Some(state) = view.get(&to)
            && state.status > Status::Alive
            && !first.iter().any(|item| item.node == to)
        {
            writer.push(Item {
                node: to,
                claim: state.claim(),
            });
        }
        let limit = self.config.transmissions(self.members());
        lock(&self.gossip).fill(limit, |node| match self.news_of(&view, node) {
            None => Sent::Void,
            Some(_) if node == to => Sent::Skipped,
            Some(claim) if writer.push(Item { node, claim }) => Sent::Yes,
            Some(_) => Sent::NoRoom,
        });
        drop(view);
        self.post(to, writer, out);
    }

    /// The latest of a node, if it may be passed on: who was never heard from is not, or peers would
    /// tell each other of nodes that none of them ever reached.
    fn news_of(&self, view: &Members<'_>, node: SocketAddr) -> Option<Claim> {
        if node == self.me {
            return Some(self.own_claim());
        }
        let state = view.get(&node)?;
        (state.status != Status::Unconfirmed).then(|| state.claim())
    }

    pub(crate) fn writer(&self, message: Message) -> Writer {
        let own = self.own_claim();
        let mut writer = Writer::new(
            self.config.cluster,
            own.incarnation(),
            message,
            self.config.max_datagram,
        );
        if own.status() == Status::Left {
            writer.push(Item {
                node: self.me,
                claim: own,
            });
        }
        writer
    }

    pub(crate) fn post(&self, to: SocketAddr, writer: Writer, out: &mut Vec<Datagram>) {
        self.counters.sent.add(1);
        out.push(Datagram {
            to,
            bytes: writer.finish(),
        });
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protocol")
            .field("me", &self.me)
            .field("phase", &self.phase())
            .field("health", &self.health())
            .field("pending_news", &self.pending_news())
            .field("tracker", &self.tracker)
            .finish_non_exhaustive()
    }
}

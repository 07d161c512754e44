//! A node of the protocol: what it is made of, how it joins and leaves, and how its datagrams are
//! filled. What it does with datagrams is in `receive` and `apply_claims`, with time in `timer`.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use incarnation::{Claim, IncarnationTracker, NodeState, Status, Timestamp, Verdict, View};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::address;
use crate::config::{Config, ConfigError};
use crate::gossip::{Gossip, Sent};
use crate::health::Health;
use crate::introductions::Introductions;
use crate::numbers::{Numbers, Purpose};
use crate::probing::Probing;
use crate::requests::Requests;
use crate::schedule::Schedule;
use crate::stats::{Stats, StatusCounts};
use crate::suspicions::Suspicions;
use crate::wire::{Item, Message, Writer};

/// The tracker's view, by the keys of this protocol.
pub(crate) type Members<'a> = View<'a>;

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where to.
    pub to: SocketAddr,
    /// At most [`Config::max_datagram`] of them.
    pub bytes: Vec<u8>,
}

/// How far a node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// No seed has let it in yet. It answers peers, and asks again in each period; it accuses no node.
    Joining,
    /// A member.
    Member,
    /// It has told the others that it leaves.
    Leaving,
}

/// The nodes that this one was told to join by way of.
#[derive(Debug, Default)]
struct Seeds {
    addresses: Vec<SocketAddr>,
    /// Seeds that this member asked for since they were lost: when one answers, states are exchanged.
    sought: BTreeSet<SocketAddr>,
}

/// A node of the protocol. See the [crate's documentation](crate).
///
/// What it holds besides its tracker: probes under way, times, numbers, the addresses it was configured with, the
/// accusers of suspected nodes, and for each node of which there is news, how often it was sent.
pub struct Protocol {
    pub(crate) tracker: IncarnationTracker<SocketAddr>,
    pub(crate) me: SocketAddr,
    pub(crate) config: Config,
    /// Chosen when this node was made: its own datagrams carry it.
    pub(crate) process: u64,
    phase: AtomicU8,
    seeds: Mutex<Seeds>,
    gossip: Mutex<Gossip>,
    pub(crate) probing: Mutex<Probing>,
    pub(crate) schedule: Mutex<Schedule>,
    pub(crate) introductions: Mutex<Introductions>,
    pub(crate) suspicions: Mutex<Suspicions>,
    /// The process number that each peer had when it was last heard from first-hand.
    pub(crate) processes: Mutex<BTreeMap<SocketAddr, u64>>,
    pub(crate) numbers: Numbers,
    random: Mutex<Pcg64Mcg>,
    pub(crate) health: Health,
    /// Whole states sent on request in this period.
    pub(crate) requests: Mutex<Requests>,
    /// Accusations answered in this period.
    pub(crate) refutations: AtomicU32,
    pub(crate) counters: StatusCounts,
}

/// Locks. What these mutexes guard is valid between any two operations on it, so a thread that
/// panicked elsewhere is no reason to stop.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a node runs, as far as is known: only such a node is a member.
pub(crate) const fn is_member(status: Status) -> bool {
    matches!(status, Status::Alive | Status::Suspect)
}

/// How many periods a number that is made of an address counts at least.
const NUMBERS_HOLD: u32 = 8;

impl Protocol {
    /// A node at the address `me`, which must be the tracker's local node: the address at which
    /// peers reach it, and from which its datagrams come.
    ///
    /// `seed` makes its random choices and the numbers of its probes. Where an attacker may be, take it from the
    /// operating system's randomness: with the seed, answers can be forged. Give each node another.
    ///
    /// # Errors
    ///
    /// The value of the configuration that is out of its range, and the range.
    pub fn new(
        tracker: IncarnationTracker<SocketAddr>,
        me: SocketAddr,
        config: Config,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let about_me = tracker.judge(&me, Claim::alive(0), Timestamp::ZERO);
        let is_usable = address::is_addressable(me) && address::canonical(me) == me;
        if !matches!(about_me, Verdict::AboutSelf { .. }) || !is_usable {
            return Err(ConfigError::NotTheLocalNode);
        }
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let key = (random.next_u64(), random.next_u64());
        let numbers = Numbers::new(key, config.period * NUMBERS_HOLD);
        Ok(Self {
            process: numbers.of(Purpose::Process, me, Timestamp::ZERO),
            phase: AtomicU8::new(Phase::Member as u8),
            seeds: Mutex::default(),
            gossip: Mutex::new(Gossip::new()),
            probing: Mutex::default(),
            schedule: Mutex::new(Schedule::new(tracker.probe_order())),
            introductions: Mutex::new(Introductions::new(
                u32::try_from(config.introductions).unwrap_or(u32::MAX),
            )),
            suspicions: Mutex::default(),
            processes: Mutex::default(),
            numbers,
            random: Mutex::new(random),
            health: Health::new(config.max_health),
            requests: Mutex::new(Requests::new(config.syncs_per_period)),
            refutations: AtomicU32::new(0),
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
        let usable = |seed| address::sender(self.me, seed).filter(|seed| *seed != self.me);
        let addresses: Vec<_> = seeds.into_iter().filter_map(usable).collect();
        let alone = addresses.is_empty();
        *lock(&self.seeds) = Seeds {
            addresses,
            sought: BTreeSet::new(),
        };
        self.enter(if alone { Phase::Member } else { Phase::Joining });
        self.ask_seeds(now, out);
    }

    /// Sends a join to each seed.
    pub(crate) fn ask_seeds(&self, now: Timestamp, out: &mut Vec<Datagram>) {
        let seeds = lock(&self.seeds).addresses.clone();
        for seed in seeds {
            self.ask(seed, now, out);
        }
    }

    /// Sends a join to a seed that is no member.
    pub(crate) fn ask_lost_seed(&self, now: Timestamp, out: &mut Vec<Datagram>) {
        let mut lost = lock(&self.seeds).addresses.clone();
        lost.retain(|seed| !self.tracker.can_suspect(seed));
        if lost.is_empty() || self.phase() == Phase::Leaving {
            return;
        }
        self.ask(lost[(self.random() % lost.len() as u64) as usize], now, out);
    }

    /// Sends a join to a seed.
    pub(crate) fn ask(&self, seed: SocketAddr, now: Timestamp, out: &mut Vec<Datagram>) {
        // A seed that died long ago gets another chance: it was configured, not gossiped.
        let _ = self.tracker.add_unconfirmed(&seed, now);
        if self.phase() == Phase::Member {
            lock(&self.seeds).sought.insert(seed);
        }
        self.send(seed, Message::Join, &[], out);
    }

    pub(crate) fn is_seed(&self, node: SocketAddr) -> bool {
        lock(&self.seeds).addresses.contains(&node)
    }

    /// Whether this member asked for that seed since it was lost; it is found now.
    pub(crate) fn was_sought(&self, node: SocketAddr) -> bool {
        lock(&self.seeds).sought.remove(&node)
    }

    /// Leaves on purpose: tells some members, which tell the others. Keep handling datagrams and
    /// timers for a few periods, so that the news spreads even where datagrams get lost. Final: to
    /// come back, make a new node with a higher incarnation.
    pub fn leave(&self, out: &mut Vec<Datagram>) {
        self.enter(Phase::Leaving);
        self.announce(self.me);
        let told = self.config.transmissions(self.members()) as usize;
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

    /// A seed has let this node in.
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

    /// A period begins.
    pub(crate) fn tell_all_again(&self) {
        lock(&self.gossip).begin_period();
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

    /// What a node is told of another: its claim and, of a suspicion, the accusers.
    pub(crate) fn item(&self, node: SocketAddr, state: NodeState) -> Item {
        let mut item = Item::new(node, state.claim());
        if state.status == Status::Suspect {
            let suspicions = lock(&self.suspicions);
            item.accusers = suspicions.accusers(&node, state.incarnation).to_vec();
        }
        item
    }

    /// Sends a message with as many claims as fit: what the receiver must know of itself (Lifeguard's buddy system,
    /// section IV-C), then those it is asked to tell, then news. A receiver that is no member is told of itself only: it
    /// may be a victim, or a spy.
    pub(crate) fn send(
        &self,
        to: SocketAddr,
        message: Message,
        first: &[Item],
        out: &mut Vec<Datagram>,
    ) {
        let mut writer = self.writer(message);
        let view = self.tracker.pin();
        let known = view.get(&to);
        match known {
            Some(state) if state.status > Status::Alive => {
                writer.push(&self.item(to, state));
            }
            Some(_) => {}
            None => {
                // Of the tombstone no more is known than that; a death outranks whatever it is told to.
                if let Some(tombstone) = self.tracker.tombstone(&to) {
                    writer.push(&Item::new(to, Claim::dead(tombstone.incarnation)));
                }
            }
        }
        if known.is_some_and(|state| is_member(state.status)) {
            for item in first {
                if !writer.push(item) {
                    break;
                }
            }
            let limit = self.config.transmissions(self.members());
            let mut gossip = lock(&self.gossip);
            if gossip.may_tell(to) {
                gossip.fill(limit, |node| match self.news_of(&view, node) {
                    None => Sent::Void,
                    Some(_) if node == to => Sent::Skipped,
                    Some(item) if writer.push(&item) => Sent::Yes,
                    Some(_) => Sent::NoRoom,
                });
            }
        }
        drop(view);
        self.post(to, writer, out);
    }

    /// The latest of a node, if it may be passed on. A node that was never heard from is not, or peers would
    /// tell each other of nodes that none of them ever reached.
    fn news_of(&self, view: &Members<'_>, node: SocketAddr) -> Option<Item> {
        if node == self.me {
            return Some(Item::new(node, self.own_claim()));
        }
        let state = view.get(&node)?;
        (state.status != Status::Unconfirmed).then(|| self.item(node, state))
    }

    pub(crate) fn writer(&self, message: Message) -> Writer {
        let own = self.own_claim();
        let mut writer = Writer::new(
            self.config.cluster,
            self.process,
            own.incarnation(),
            message,
            self.config.max_datagram,
        );
        if own.status() == Status::Left {
            writer.push(&Item::new(self.me, own));
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

    /// The number for a probe of a node that may be no member. Its ack needs no memory here.
    pub(crate) fn contact_number(&self, node: SocketAddr, now: Timestamp) -> u64 {
        self.numbers.of(Purpose::Contact, node, now)
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

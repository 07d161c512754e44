//! The protocol on virtual time: any number of nodes over a network with seeded faults.
//!
//! A simulation runs the same code as a node on sockets. Only time and datagrams are simulated: nothing sleeps, and the
//! same seed gives the same run, datagram for datagram. Tests and the `simulate` example use it.

mod agreement;
mod network;
pub mod scenario;
pub mod traffic;

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};

use incarnation::{Builder, Incarnation, IncarnationTracker, Reclaimer, Timestamp};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

pub use agreement::Disagreement;
pub use network::Network;

use crate::{Config, Datagram, Protocol, Stats};

/// How many datagrams a socket's buffer holds while its process does not run.
const BACKLOG: usize = 1000;

/// What a restarted node remembers of its last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Its incarnation: the node has it on disk and starts 5 above it.
    Persisted,
    /// Nothing: the node starts at incarnation 0.
    Lost,
}

/// A cluster and its network.
#[derive(Debug)]
pub struct World {
    now: Timestamp,
    config: Config,
    /// How the network behaves. It may be changed at any time.
    pub network: Network,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<Event>>,
    events: u64,
    random: Pcg64Mcg,
    digest: u64,
    /// The counters of processes that have ended.
    past: Vec<Stats>,
    /// Datagrams and bytes sent, to nodes of this world and to other addresses.
    to_nodes: Traffic,
    to_strangers: Traffic,
}

/// A number of datagrams and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many datagrams.
    pub datagrams: u64,
    /// The bytes of all of them.
    pub bytes: u64,
}

#[derive(Debug)]
struct Node {
    address: SocketAddr,
    protocol: Option<Protocol>,
    /// How often the node was started.
    runs: u32,
    /// The number of the event that wakes the node next. Timers with other numbers have no effect.
    timer: u64,
    /// The time of that event.
    wakes: Timestamp,
    backlog: Option<Vec<(SocketAddr, Vec<u8>)>>,
    /// The incarnation at the end of its last run.
    last_incarnation: Incarnation,
    has_left: bool,
}

/// Events are ordered by time, then by the order in which they were planned.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Timestamp,
    number: u64,
    what: What,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Arrives {
        node: usize,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    Timer {
        node: usize,
    },
}

impl World {
    /// Makes a world of nodes, none of which runs yet.
    #[must_use]
    pub fn new(nodes: usize, config: Config, seed: u64) -> Self {
        let node = |index| Node {
            address: address(index),
            protocol: None,
            runs: 0,
            timer: 0,
            wakes: Timestamp::ZERO,
            backlog: None,
            last_incarnation: Incarnation::ZERO,
            has_left: false,
        };
        Self {
            now: Timestamp::ZERO,
            config,
            network: Network::new(nodes),
            nodes: (0..nodes).map(node).collect(),
            queue: BinaryHeap::new(),
            events: 0,
            random: Pcg64Mcg::seed_from_u64(seed),
            digest: 0,
            past: Vec::new(),
            to_nodes: Traffic::default(),
            to_strangers: Traffic::default(),
        }
    }

    /// What the nodes have sent to nodes of this world, running or not.
    #[must_use]
    pub const fn to_nodes(&self) -> Traffic {
        self.to_nodes
    }

    /// What the nodes have sent to addresses that no node of this world has.
    #[must_use]
    pub const fn to_strangers(&self) -> Traffic {
        self.to_strangers
    }

    /// Delivers a datagram made by hand to a node at once, as if it came from `from`.
    pub fn inject(&mut self, from: SocketAddr, node: usize, bytes: &[u8]) {
        self.arrive(node, from, bytes);
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The configuration of all nodes.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How many nodes there are, running or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node's address.
    #[must_use]
    pub fn address(&self, node: usize) -> SocketAddr {
        self.nodes[node].address
    }

    /// A node's protocol; `None` if the node does not run. A paused node has one.
    #[must_use]
    pub fn node(&self, node: usize) -> Option<&Protocol> {
        self.nodes[node].protocol.as_ref()
    }

    /// A hash of everything that has happened: two equal runs have equal digests.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// The sum of a counter over all runs of all nodes.
    #[must_use]
    pub fn total(&self, counter: impl Fn(&Stats) -> u64) -> u64 {
        let running = self.nodes.iter().filter_map(|node| node.protocol.as_ref());
        running
            .map(Protocol::stats)
            .chain(self.past.iter().copied())
            .map(|stats| counter(&stats))
            .sum()
    }

    /// A random number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.random.next_u64() % n as u64) as usize
    }

    /// Starts a node that joins by way of `seeds`.
    pub fn start(&mut self, node: usize, memory: Memory, seeds: &[usize]) {
        let incarnation = match (memory, self.nodes[node].runs) {
            (_, 0) | (Memory::Lost, _) => Incarnation::ZERO,
            (Memory::Persisted, _) => self.nodes[node].last_incarnation.saturating_add(5),
        };
        self.start_with(node, seeds, |builder| {
            builder.local_incarnation(incarnation)
        });
    }

    /// Starts a node that joins by way of `seeds`, with a tracker that `build` sets up further: a durable incarnation, other
    /// limits.
    ///
    /// # Panics
    ///
    /// If that tracker can't be built.
    pub fn start_with(
        &mut self,
        node: usize,
        seeds: &[usize],
        build: impl FnOnce(Builder) -> Builder,
    ) {
        let size = self.nodes.len();
        let address = self.nodes[node].address;
        let builder = IncarnationTracker::builder()
            .local_node(address)
            .max_nodes(size)
            .max_tombstones(size)
            // A reclaimer of its own: what other threads do cannot change the run.
            .reclaimer(Reclaimer::private());
        let tracker = build(builder).build().expect("a tracker that can be built");
        let seed = self.random.next_u64();
        let protocol = Protocol::new(tracker, address, self.config.clone(), seed)
            .expect("a configuration that does not contradict itself");
        let seeds: Vec<_> = seeds.iter().map(|seed| self.nodes[*seed].address).collect();
        let mut out = Vec::new();
        protocol.join(seeds, self.now, &mut out);
        let this = &mut self.nodes[node];
        this.runs += 1;
        this.has_left = false;
        this.backlog = None;
        this.protocol = Some(protocol);
        self.transmit(node, out);
        self.wake(node);
    }

    /// Ends a node's process; it tells no other node.
    pub fn kill(&mut self, node: usize) {
        let this = &mut self.nodes[node];
        if let Some(protocol) = this.protocol.take() {
            this.last_incarnation = protocol.tracker().local().current();
            self.past.push(protocol.stats());
        }
        this.backlog = None;
    }

    /// Makes a node leave on purpose. Its process goes on, to tell the other nodes, until it is killed.
    pub fn leave(&mut self, node: usize) {
        let mut out = Vec::new();
        let this = &mut self.nodes[node];
        this.has_left = true;
        if let Some(protocol) = &this.protocol {
            protocol.leave(&mut out);
        }
        self.transmit(node, out);
    }

    /// Stops a node's process. Datagrams to it wait in its socket's buffer.
    pub fn pause(&mut self, node: usize) {
        self.nodes[node].backlog.get_or_insert_default();
    }

    /// Lets a paused node go on. Its timer runs before the datagrams that waited: of all orders, this one misleads a failure
    /// detector most.
    pub fn resume(&mut self, node: usize) {
        let Some(backlog) = self.nodes[node].backlog.take() else {
            return;
        };
        self.wake(node);
        for (from, bytes) in backlog {
            self.arrive(node, from, &bytes);
        }
    }

    /// Lets this much time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self
            .queue
            .peek()
            .is_some_and(|Reverse(event)| event.at <= end)
        {
            if let Some(Reverse(event)) = self.queue.pop() {
                self.now = event.at;
                match event.what {
                    What::Arrives { node, from, bytes } => self.arrive(node, from, &bytes),
                    What::Timer { node } if event.number == self.nodes[node].timer => {
                        self.wake(node);
                    }
                    What::Timer { .. } => {}
                }
            }
        }
        self.now = end;
    }

    /// Lets periods pass and calls `each` after each of them, until `each` returns true. Returns how many periods passed, or
    /// `None` if `each` did not return true within `limit` periods.
    pub fn run_periods(
        &mut self,
        limit: u32,
        mut each: impl FnMut(&mut Self) -> bool,
    ) -> Option<u32> {
        (1..=limit).find(|_| {
            self.run(self.config.period);
            each(self)
        })
    }

    fn plan(&mut self, at: Timestamp, what: What) -> u64 {
        self.events += 1;
        self.queue.push(Reverse(Event {
            at,
            number: self.events,
            what,
        }));
        self.events
    }

    fn note(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut packed = [0; 8];
            packed[..chunk.len()].copy_from_slice(chunk);
            self.digest = (self.digest ^ u64::from_le_bytes(packed)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn arrive(&mut self, node: usize, from: SocketAddr, bytes: &[u8]) {
        let is_node = index(from).is_some_and(|from| from < self.nodes.len());
        let this = &mut self.nodes[node];
        if let Some(backlog) = &mut this.backlog {
            if backlog.len() < BACKLOG {
                backlog.push((from, bytes.to_vec()));
            }
            return;
        }
        let Some(protocol) = &this.protocol else {
            return;
        };
        let mut out = Vec::new();
        let handled = protocol.handle_datagram(from, bytes, self.now, &mut out);
        debug_assert!(
            handled.is_ok() || !is_node,
            "nodes understand each other: {handled:?}"
        );
        let due = protocol.probes_due();
        self.note(&self.now.as_nanos().to_le_bytes());
        self.note(bytes);
        self.transmit(node, out);
        if let Some(due) = due
            && due < self.nodes[node].wakes
        {
            self.wake_at(node, due);
        }
    }

    fn wake_at(&mut self, node: usize, at: Timestamp) {
        let at = at.max(self.now + TICK);
        self.nodes[node].wakes = at;
        self.nodes[node].timer = self.plan(at, What::Timer { node });
    }

    fn wake(&mut self, node: usize) {
        let this = &self.nodes[node];
        if this.backlog.is_some() {
            // `resume` wakes it.
            return;
        }
        let Some(protocol) = &this.protocol else {
            return;
        };
        let mut out = Vec::new();
        let next = protocol.handle_timer(self.now, &mut out);
        self.transmit(node, out);
        self.wake_at(node, next);
    }

    fn transmit(&mut self, node: usize, out: Vec<Datagram>) {
        let from = self.nodes[node].address;
        for Datagram { to, bytes } in out {
            let receiver = index(to).filter(|index| *index < self.nodes.len());
            let traffic = match receiver {
                Some(_) => &mut self.to_nodes,
                None => &mut self.to_strangers,
            };
            traffic.datagrams += 1;
            traffic.bytes += bytes.len() as u64;
            let Some(receiver) = receiver else {
                continue;
            };
            let delays = self.network.carry(node, receiver, &mut self.random);
            for delay in delays.into_iter().flatten() {
                let arrives = What::Arrives {
                    node: receiver,
                    from,
                    bytes: bytes.clone(),
                };
                self.plan(self.now + delay, arrives);
            }
        }
    }
}

/// The resolution of timers.
const TICK: Duration = Duration::from_millis(1);
const PORT: u16 = 7946;
const FIRST: u32 = 0x0a00_0001;

fn address(index: usize) -> SocketAddr {
    let ip = Ipv4Addr::from(FIRST + u32::try_from(index).expect("fewer nodes than addresses"));
    SocketAddr::new(ip.into(), PORT)
}

fn index(address: SocketAddr) -> Option<usize> {
    let std::net::IpAddr::V4(ip) = address.ip() else {
        return None;
    };
    u32::from(ip).checked_sub(FIRST).map(|index| index as usize)
}

//! The tracker under stress, and the rules of the game that all threads keep to.
//!
//! Incarnations follow the clock: nobody claims one above the number of *ticks* that have passed. So
//! a packed state tells the earliest time it can have been claimed at, and its last update must not be earlier.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use incarnation::{
    BuildError, Clock, Incarnation, IncarnationTracker, NodeState, Reclaimer, Timestamp,
};

use crate::options::Options;

/// Violations that are told in full.
const TOLD: usize = 10;

pub struct World {
    pub options: Options,
    pub tracker: IncarnationTracker,
    pub clock: Clock,
    pub hard_limit: usize,
    pub stop: AtomicBool,
    pub claims: AtomicU64,
    pub lookups: AtomicU64,
    /// Nanoseconds of a tick, as a power of two.
    tick: u32,
    violations: Mutex<Vec<String>>,
    violation_count: AtomicU64,
}

impl World {
    pub fn new(options: Options) -> Result<Self, BuildError> {
        let nodes = options.nodes;
        // The more nodes, the rarer the claims about one; ticks are as long as it takes for some.
        let tick = if options.churn {
            20
        } else {
            10 + nodes.ilog2()
        };
        let tick_time = Duration::from_nanos(1 << tick);
        // Some too few places, so that claims run into both limits. For one hot node a thousand more,
        // or the spare entries would not last while a thread that is not running holds a view.
        let (max_nodes, hard_limit) = if nodes < 32 {
            (1024, 2048)
        } else {
            (nodes - nodes / 8, nodes - nodes / 16)
        };
        let builder = IncarnationTracker::builder()
            .max_nodes(max_nodes)
            .hard_limit(hard_limit)
            .evict_alive(true)
            .max_tombstones((nodes / 8).max(16))
            .unconfirmed_timeout(tick_time / 2)
            .suspect_timeout(tick_time)
            .dead_retention(tick_time / 2);
        let builder = if options.private {
            builder.reclaimer(Reclaimer::private())
        } else {
            builder
        };
        let tracker = if options.churn {
            // Deaths stay in the table for about half of the time in which zombies are refused.
            builder
                .dead_retention(tick_time * 4)
                .zombie_window(tick_time * 8)
        } else {
            builder
        };
        Ok(Self {
            options,
            tracker: tracker.build()?,
            clock: Clock::monotonic(),
            hard_limit,
            stop: AtomicBool::new(false),
            claims: AtomicU64::new(0),
            lookups: AtomicU64::new(0),
            tick,
            violations: Mutex::default(),
            violation_count: AtomicU64::new(0),
        })
    }

    /// The address of a node.
    pub fn address(node: usize) -> SocketAddr {
        let node = u32::try_from(node).expect("below 2^24");
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) | node);
        SocketAddr::V4(SocketAddrV4::new(ip, 7946))
    }

    /// The number of an address.
    pub fn number(address: &SocketAddr) -> usize {
        match address {
            SocketAddr::V4(v4) => (u32::from(*v4.ip()) & 0x00ff_ffff) as usize,
            SocketAddr::V6(_) => unreachable!("all nodes have v4 addresses"),
        }
    }

    /// How many ticks have passed: the highest incarnation that anybody may claim.
    pub fn ticks(&self, now: Timestamp) -> u64 {
        now.as_nanos() >> self.tick
    }

    /// What must be true of any state that is read at any time.
    pub fn check_state(&self, node: usize, state: NodeState) {
        if self.ticks(state.last_update) < state.incarnation.get() {
            self.violation(|| {
                let last_update = state.last_update;
                format!("node {node}: {state} has the last_update {last_update} of an earlier word")
            });
        }
    }

    /// Whether a state may follow another one in the same lifetime.
    pub fn check_order(&self, node: usize, earlier: NodeState, later: NodeState) {
        let rank = |state: NodeState| -> (Incarnation, _) { (state.incarnation, state.status) };
        if rank(later) < rank(earlier) {
            self.violation(|| format!("node {node} fell from {earlier} to {later}"));
        }
    }

    pub fn violation(&self, tell: impl FnOnce() -> String) {
        self.violation_count.fetch_add(1, Ordering::Relaxed);
        let mut told = self.violations.lock().expect("nobody panics with it");
        if told.len() < TOLD {
            told.push(tell());
        }
    }

    /// How many there were, and the first of them.
    pub fn violations(&self) -> (u64, Vec<String>) {
        let told = self.violations.lock().expect("nobody panics with it");
        (self.violation_count.load(Ordering::Relaxed), told.clone())
    }

    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

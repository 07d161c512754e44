//! After: the members in a tracker. The address is the key, so the index is the table; what a member carries is its
//! data; the rule is the tracker's, and no request waits for gossip.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use incarnation::{BuildError, Claim, IncarnationTracker, Timestamp};

use crate::{Actor, RTTS, ring_of};

/// What a member carries for its time in the table.
#[derive(Default)]
pub struct Carried {
    /// Written when a member comes or renews its identity; read by lookups of a label.
    labels: Mutex<Vec<String>>,
    rtts: Mutex<Rtts>,
    /// The ring plus one, or 0: what requests read without a lock.
    ring: AtomicU8,
}

#[derive(Default)]
struct Rtts {
    last: [u16; RTTS],
    count: usize,
}

/// Here a member's incarnation is the second at which it took its identity, so a restart jumps by the seconds since the
/// last one: a member may be away for a week. A forged claim can reach no further.
const A_WEEK: u64 = 7 * 24 * 60 * 60;

pub struct Members {
    tracker: IncarnationTracker<SocketAddr, Carried>,
}

impl Members {
    pub fn new(max: usize) -> Result<Self, BuildError> {
        let builder = IncarnationTracker::builder().max_nodes(max);
        let builder = builder.max_incarnation_jump(A_WEEK);
        let tracker = builder.data_with(|_addr| Carried::default()).build()?;
        Ok(Self { tracker })
    }

    /// An event of the engine: a member is up. True if that is news.
    pub fn up(&self, actor: &Actor, now: Timestamp) -> bool {
        let view = self.tracker.pin();
        let is_news = view
            .update(&actor.addr, Claim::alive(actor.since), now)
            .is_accepted();
        if is_news && let Some(member) = view.find(&actor.addr) {
            let mut labels = member.data().labels.lock().expect("no holder panics");
            labels.clone_from(&actor.labels);
        }
        is_news
    }

    /// An event of the engine: a member is down. `Claim::suspect` tells of a suspicion in the same way.
    pub fn down(&self, actor: &Actor, now: Timestamp) -> bool {
        let is_up = self.tracker.is_alive(&actor.addr);
        is_up
            && self
                .tracker
                .update(&actor.addr, Claim::dead(actor.since), now)
                .is_accepted()
    }

    /// A reply came after so many milliseconds.
    pub fn replied(&self, addr: &SocketAddr, millis: u16) {
        let view = self.tracker.pin();
        let Some(member) = view.find(addr) else {
            return;
        };
        let mut rtts = member.data().rtts.lock().expect("no holder panics");
        let place = rtts.count % RTTS;
        rtts.last[place] = millis;
        rtts.count += 1;
        let known = rtts.count.min(RTTS);
        let sum: u32 = rtts.last[..known].iter().map(|rtt| u32::from(*rtt)).sum();
        member
            .data()
            .ring
            .store(ring_of(sum / known as u32) + 1, Relaxed);
    }

    /// What a request asks: no lock, no wait.
    pub fn is_up(&self, addr: &SocketAddr) -> bool {
        self.tracker.is_alive(addr)
    }

    /// The members of the closest ring.
    pub fn closest(&self) -> Vec<SocketAddr> {
        self.chosen(|carried| carried.ring.load(Relaxed) == 1)
    }

    /// The members that have a label.
    pub fn labelled(&self, label: &str) -> Vec<SocketAddr> {
        self.chosen(|carried| {
            let labels = carried.labels.lock().expect("no holder panics");
            labels.iter().any(|one| one == label)
        })
    }

    fn chosen(&self, is: impl Fn(&Carried) -> bool) -> Vec<SocketAddr> {
        let view = self.tracker.pin();
        let up = view.members().filter(|member| member.state().is_alive());
        up.filter(|member| is(member.data()))
            .map(|member| *member.key())
            .collect()
    }
}

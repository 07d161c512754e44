//! Before: members behind a lock, as many programs on a gossip engine keep them.
//!
//! Two maps that must agree, a rule that is applied by hand, and one lock that gossip and requests share.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::RwLock;

use crate::{Actor, RTTS, ring_of};

#[derive(Default)]
pub struct Members {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    states: HashMap<u64, MemberState>,
    by_addr: HashMap<SocketAddr, u64>,
}

struct MemberState {
    addr: SocketAddr,
    /// When the member took its identity: a renewed one wins.
    since: u64,
    is_up: bool,
    labels: Vec<String>,
    rtts: VecDeque<u16>,
    ring: Option<u8>,
}

impl Members {
    /// An event of the engine: a member is up. True if that is news.
    pub fn up(&self, actor: &Actor) -> bool {
        let mut guard = self.inner.write().expect("no writer panics");
        let inner = &mut *guard;
        if let Some(known) = inner.states.get_mut(&actor.id) {
            if actor.since <= known.since {
                return false;
            }
            // The address may have changed: the index must follow, and must not take another's entry away.
            if known.addr != actor.addr {
                if inner.by_addr.get(&known.addr) == Some(&actor.id) {
                    inner.by_addr.remove(&known.addr);
                }
                inner.by_addr.insert(actor.addr, actor.id);
                known.addr = actor.addr;
                known.rtts.clear();
                known.ring = None;
            }
            known.since = actor.since;
            known.is_up = true;
            known.labels.clone_from(&actor.labels);
            return true;
        }
        // Another identity may have been at this address.
        if let Some(former) = inner.by_addr.insert(actor.addr, actor.id) {
            inner.states.remove(&former);
        }
        inner.states.insert(
            actor.id,
            MemberState {
                addr: actor.addr,
                since: actor.since,
                is_up: true,
                labels: actor.labels.clone(),
                rtts: VecDeque::with_capacity(RTTS),
                ring: None,
            },
        );
        true
    }

    /// An event of the engine: a member is down. A suspicion makes no event, so it is never seen here.
    pub fn down(&self, actor: &Actor) -> bool {
        let mut inner = self.inner.write().expect("no writer panics");
        match inner.states.get_mut(&actor.id) {
            Some(known) if known.since <= actor.since && known.is_up => {
                known.is_up = false;
                known.since = actor.since;
                true
            }
            _ => false,
        }
    }

    /// A reply came after so many milliseconds.
    pub fn replied(&self, addr: &SocketAddr, millis: u16) {
        let mut guard = self.inner.write().expect("no writer panics");
        let inner = &mut *guard;
        let Some(known) = inner.by_addr.get(addr) else {
            return;
        };
        let Some(state) = inner.states.get_mut(known) else {
            return;
        };
        if state.rtts.len() == RTTS {
            state.rtts.pop_front();
        }
        state.rtts.push_back(millis);
        let sum: u32 = state.rtts.iter().map(|rtt| u32::from(*rtt)).sum();
        state.ring = Some(ring_of(sum / state.rtts.len() as u32));
    }

    /// What a request asks.
    pub fn is_up(&self, addr: &SocketAddr) -> bool {
        let inner = self.inner.read().expect("no writer panics");
        let id = inner.by_addr.get(addr);
        id.and_then(|id| inner.states.get(id))
            .is_some_and(|state| state.is_up)
    }

    /// The members of the closest ring.
    pub fn closest(&self) -> Vec<SocketAddr> {
        let inner = self.inner.read().expect("no writer panics");
        let states = inner.states.values();
        let closest = states.filter(|state| state.is_up && state.ring == Some(0));
        closest.map(|state| state.addr).collect()
    }

    /// The members that have a label.
    pub fn labelled(&self, label: &str) -> Vec<SocketAddr> {
        let inner = self.inner.read().expect("no writer panics");
        let states = inner.states.values().filter(|state| state.is_up);
        let labelled = states.filter(|state| state.labels.iter().any(|one| one == label));
        labelled.map(|state| state.addr).collect()
    }
}

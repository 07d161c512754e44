//! Keys that stop a thread in the middle of an operation, to make rare interleavings certain.
//!
//! A table clones a key at known moments: before it links an unknown node, before it writes a
//! tombstone, and when a snapshot comes by. A [`GatedKey`] can hold the thread there until the test has done what should come between.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Long enough for any thread to come by; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The next thread that clones a key is stopped.
    Shut,
    /// It is.
    Holds,
}

/// Where cloning threads can be stopped.
#[derive(Clone, Debug, Default)]
pub struct SyncPoint(Arc<(Mutex<State>, Condvar)>);

impl SyncPoint {
    /// A key behind this sync_point.
    #[must_use]
    pub fn key(&self, id: u32) -> GatedKey {
        GatedKey {
            id,
            sync_point: self.clone(),
        }
    }

    /// Has the next thread that clones a key wait there. One that is held goes on, to its next key.
    pub fn shut(&self) {
        self.set(State::Shut);
    }

    /// Waits until a thread is held.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn wait_for_thread(&self) {
        let (state, changed) = &*self.0;
        let guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = changed
            .wait_timeout_while(guard, PATIENCE, |state| *state != State::Holds)
            .unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*guard, State::Holds, "no thread came to clone a key");
    }

    /// Lets it go on.
    pub fn open(&self) {
        self.set(State::Open);
    }

    fn set(&self, to: State) {
        let (state, changed) = &*self.0;
        *state.lock().unwrap_or_else(PoisonError::into_inner) = to;
        changed.notify_all();
    }

    fn go_through(&self) {
        let (state, changed) = &*self.0;
        let mut guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        if *guard == State::Shut {
            *guard = State::Holds;
            changed.notify_all();
            let waited =
                changed.wait_timeout_while(guard, PATIENCE, |state| *state == State::Holds);
            drop(waited);
        }
    }
}

/// A key whose cloning passes through a [`SyncPoint`].
#[derive(Debug)]
pub struct GatedKey {
    id: u32,
    sync_point: SyncPoint,
}

impl Clone for GatedKey {
    fn clone(&self) -> Self {
        self.sync_point.go_through();
        self.sync_point.key(self.id)
    }
}

impl PartialEq for GatedKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for GatedKey {}

impl PartialOrd for GatedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GatedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for GatedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

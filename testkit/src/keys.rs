//! Keys that watch what a table does with them, and keys that misbehave.
#![forbid(unsafe_code)]

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Counts the [`CountedKey`]s made from it.
#[derive(Clone, Debug, Default)]
pub struct Census(Arc<CensusState>);

#[derive(Debug, Default)]
struct CensusState {
    living: AtomicI64,
    misuses: AtomicU64,
}

impl Census {
    /// How many keys there are now.
    #[must_use]
    pub fn living(&self) -> i64 {
        self.0.living.load(Ordering::SeqCst)
    }

    /// How often a key was used or dropped after its drop. A table may swallow a panic in a drop, so
    /// these are counted as well.
    #[must_use]
    pub fn misuses(&self) -> u64 {
        self.0.misuses.load(Ordering::SeqCst)
    }

    /// A key of this census.
    #[must_use]
    pub fn key(&self, id: u64) -> CountedKey {
        self.0.living.fetch_add(1, Ordering::SeqCst);
        CountedKey {
            id,
            alive: AtomicBool::new(true),
            census: self.clone(),
        }
    }
}

/// A key that is counted from its making or cloning to its drop, and panics when it is used or
/// dropped after that.
#[derive(Debug)]
pub struct CountedKey {
    id: u64,
    alive: AtomicBool,
    census: Census,
}

impl CountedKey {
    /// The number it was made with.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.check();
        self.id
    }

    fn check(&self) {
        if !self.alive.load(Ordering::SeqCst) {
            self.census.0.misuses.fetch_add(1, Ordering::SeqCst);
            panic!("a key is used after its drop");
        }
    }
}

impl Clone for CountedKey {
    fn clone(&self) -> Self {
        self.check();
        self.census.key(self.id)
    }
}

impl Drop for CountedKey {
    fn drop(&mut self) {
        self.check();
        self.alive.store(false, Ordering::SeqCst);
        self.census.0.living.fetch_sub(1, Ordering::SeqCst);
    }
}

impl PartialEq for CountedKey {
    fn eq(&self, other: &Self) -> bool {
        self.check();
        other.check();
        self.id == other.id
    }
}

impl Eq for CountedKey {}

impl Hash for CountedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.check();
        self.id.hash(state);
    }
}

/// What a [`TouchyKey`] can panic in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `Eq::eq`
    Eq,
    /// `Hash::hash`
    Hash,
    /// `Clone::clone`
    Clone,
    /// `Drop::drop`
    Drop,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Eq, Self::Hash, Self::Clone, Self::Drop];
}

/// The mood of all [`TouchyKey`]s made from it: calm until told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Mood(Arc<MoodState>);

#[derive(Debug, Default)]
struct MoodState {
    /// For each act, at which of its next calls a key panics (once); 0: at none.
    fuses: [AtomicU64; 4],
    /// Keys made and not dropped.
    living: AtomicI64,
}

/// What a key panics with, so that other panics are not mistaken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tantrum(pub Act);

impl Mood {
    /// A key of this mood.
    #[must_use]
    pub fn key(&self, id: u64) -> TouchyKey {
        self.0.living.fetch_add(1, Ordering::SeqCst);
        TouchyKey {
            id,
            mood: self.clone(),
        }
    }

    /// How many keys of this mood there are.
    #[must_use]
    pub fn living(&self) -> i64 {
        self.0.living.load(Ordering::SeqCst)
    }

    /// Has the `nth` call (1: the next one) of an act panic, and those after it not.
    pub fn panic_at(&self, act: Act, nth: u64) {
        self.0.fuses[act as usize].store(nth, Ordering::SeqCst);
    }

    /// Takes all of that back; whether some panic was still to come.
    pub fn calm(&self) -> bool {
        let mut was_due = false;
        for fuse in &self.0.fuses {
            was_due |= fuse.swap(0, Ordering::SeqCst) > 0;
        }
        was_due
    }

    fn goes_through(&self, act: Act) {
        let fuse = &self.0.fuses[act as usize];
        let burn = |left: u64| left.checked_sub(1);
        if fuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, burn) == Ok(1) {
            // Without the panic hook, whose messages would fill the output of a test.
            std::panic::resume_unwind(Box::new(Tantrum(act)));
        }
    }
}

/// A key whose `Eq`, `Hash`, `Clone` or `Drop` panics when its [`Mood`] says so.
pub struct TouchyKey {
    id: u64,
    mood: Mood,
}

impl fmt::Debug for TouchyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TouchyKey({})", self.id)
    }
}

impl Clone for TouchyKey {
    fn clone(&self) -> Self {
        self.mood.goes_through(Act::Clone);
        self.mood.key(self.id)
    }
}

impl Drop for TouchyKey {
    fn drop(&mut self) {
        self.mood.0.living.fetch_sub(1, Ordering::SeqCst);
        self.mood.goes_through(Act::Drop);
    }
}

impl PartialEq for TouchyKey {
    fn eq(&self, other: &Self) -> bool {
        self.mood.goes_through(Act::Eq);
        self.id == other.id
    }
}

impl Eq for TouchyKey {}

impl Hash for TouchyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mood.goes_through(Act::Hash);
        self.id.hash(state);
    }
}

/// Runs `work`, which may end in a key's panic; other panics go on.
pub fn survive<R>(work: impl FnOnce() -> R) -> Result<R, Tantrum> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| match payload.downcast() {
        Ok(tantrum) => *tantrum,
        Err(other) => std::panic::resume_unwind(other),
    })
}

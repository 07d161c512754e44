//! A pair of fences of unequal cost, built from loom's atomics.
//!
//! The specification is C++'s proposal P1202: of each light and each heavy fence one comes first, and what the one's
//! thread did before its fence is known to the other's thread behind its fence. Two light fences order nothing.
//!
//! Each model thread has a mailbox, one loom atomic. A light fence is an exchange on the thread's own mailbox. A
//! heavy fence is a relaxed exchange on each other thread's mailbox, between two real fences. The exchanges on one
//! mailbox have an order, and that is the promise. No two light fences ever meet in a mailbox. Nor does a heavy fence
//! pass on from one light fence to another: what it releases is what its thread knew before it, and what it acquires
//! is known only behind it. (The kernel interrupts the cores one after the other, in any order, so one thread may be
//! past its interrupt while another has yet to get its own.)
//!
//! Another formulation is closer to what the kernel does: an interrupt that makes every other thread run a fence at
//! its next operation. It gives the same verdicts at four times the code, and it can't see that a light fence is missing.

use std::cell::Cell;

use super::{Choice, thread_index, threads, weakening, with_choice};
use loom::sync::atomic::{AtomicUsize, Ordering};

/// What the system of a model says to `membarrier(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membarrier {
    /// It does what its manual says.
    Works,
    /// It is refused from the start: both sides of every pair use real fences.
    Refused,
    /// It is refused once threads rely on it.
    FailsLater,
}

std::thread_local! {
    static SYSTEM: Cell<Membarrier> = const { Cell::new(Membarrier::Works) };
}

/// Runs `model` on a system of that kind.
pub fn with_membarrier(system: Membarrier, model: impl FnOnce()) {
    let choice: &'static Choice<Membarrier> = &SYSTEM;
    with_choice(choice, system, model);
}

/// The system's part, in the names of the other arm.
#[cfg(not(incarnation_portable))]
pub(crate) mod membarrier {
    use super::{Membarrier, SYSTEM};

    pub(crate) fn register() -> bool {
        SYSTEM.get() != Membarrier::Refused
    }
}

/// A pair of fences of unequal cost: [`light`](Self::light) and [`heavy`](Self::heavy).
#[derive(Debug)]
pub struct Asymmetric {
    /// Only heavy fences touch another thread's.
    mailboxes: Box<[AtomicUsize]>,
}

impl Default for Asymmetric {
    fn default() -> Self {
        Self::new()
    }
}

impl Asymmetric {
    /// A pair that has ordered nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mailboxes: (0..threads()).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// The hot side.
    #[track_caller]
    pub fn light(&self) {
        if weakening::light() {
            self.exchange_own();
        }
    }

    /// The rare side; false if the system refused it, and then it ordered nothing.
    #[track_caller]
    pub fn heavy(&self) -> bool {
        if SYSTEM.get() == Membarrier::FailsLater {
            return false;
        }
        match weakening::heavy() {
            weakening::Heavy::AsWritten => self.exchange_others(),
            weakening::Heavy::Light => self.exchange_own(),
            weakening::Heavy::None => {}
        }
        true
    }

    fn exchange_own(&self) {
        match thread_index() {
            // AcqRel: passes on what this thread did, and takes over what a heavy fence left.
            Some(me) => drop(self.mailboxes[me].fetch_add(1, Ordering::AcqRel)),
            // In a thread-local's destructor, where loom no longer tells which thread it is.
            None => loom::sync::atomic::fence(Ordering::SeqCst),
        }
    }

    fn exchange_others(&self) {
        let me = thread_index();
        // SeqCst, both: two heavy fences order each other, too. The first one releases through the exchanges what this
        // thread did; the second one acquires what they found.
        loom::sync::atomic::fence(Ordering::SeqCst);
        for (thread, mailbox) in self.mailboxes.iter().enumerate() {
            if Some(thread) != me {
                // Relaxed: see the fences around it. An AcqRel would pass on to the next thread what it finds here.
                mailbox.fetch_add(1, Ordering::Relaxed);
            }
        }
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

//! A small number for each thread that writes, so that a tracker can keep a line, or a cache, for each of them.
//!
//! A thread takes the lowest free number at its first write and gives it back when it ends, so that a program that
//! starts and ends threads for ever uses few numbers. Of two threads that have one number in turn, the later one sees
//! all that the earlier one wrote. While there are more threads than [`NUMBERS`], the rest have none; neither has a thread
//! that writes in a thread-local destructor after its number was given back. They use what all threads share.
//!
//! In the child of a fork only the forking thread is left: it keeps its number, and all others are free again (on Linux;
//! elsewhere they stay taken).

use crate::sync::atomic::Ordering;
use crate::sync::atomic::plain::AtomicU64;

/// How many threads can have a number at once.
pub(crate) const NUMBERS: usize = 128;

/// The numbers that are taken, a bit each.
#[derive(Debug)]
pub(crate) struct Numbers([AtomicU64; NUMBERS / 64]);

impl Numbers {
    #[cfg(not(incarnation_loom))]
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; NUMBERS / 64])
    }

    #[cfg(incarnation_loom)]
    fn new() -> Self {
        Self(core::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// The lowest free number, which is then the caller's.
    fn take(&self) -> Option<usize> {
        for (place, word) in self.0.iter().enumerate() {
            // Relaxed: the exchange decides.
            let mut taken = word.load(Ordering::Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                match word.compare_exchange_weak(
                    taken,
                    taken | 1 << bit,
                    // Acquire: all that the thread that had the number before wrote under it. Pinned by
                    // `caches::a_number_is_passed_on_with_all_that_was_written_under_it`.
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(place * 64 + bit as usize),
                    Err(now) => taken = now,
                }
            }
        }
        None
    }

    fn give_back(&self, number: usize) {
        // Release: see `take`.
        self.0[number / 64].fetch_and(!(1 << (number % 64)), Ordering::Release);
    }
}

#[cfg(not(incarnation_loom))]
mod imp {
    use core::cell::Cell;

    use super::{NUMBERS, Numbers};

    static TAKEN: Numbers = Numbers::new();

    /// The thread has not asked for a number yet.
    const UNASKED: usize = usize::MAX;

    std::thread_local! {
        /// This thread's number; [`NUMBERS`] if it has none.
        static NUMBER: Cell<usize> = const { Cell::new(UNASKED) };
        static TENURE: Tenure = const { Tenure };
    }

    /// Gives the number back when the thread ends.
    struct Tenure;

    impl Drop for Tenure {
        fn drop(&mut self) {
            let number = NUMBER.replace(NUMBERS);
            if number < NUMBERS {
                TAKEN.give_back(number);
            }
        }
    }

    /// The number of the calling thread, or some number from [`NUMBERS`] on.
    #[inline(always)]
    pub(crate) fn of_this_thread() -> usize {
        let number = NUMBER.get();
        if number == UNASKED {
            return ask();
        }
        number
    }

    #[cold]
    #[inline(never)]
    fn ask() -> usize {
        reset_in_children();
        // Fails in a thread-local destructor that runs after the tenure's.
        let number = TENURE.try_with(|_| TAKEN.take()).ok().flatten();
        let number = number.unwrap_or(NUMBERS);
        NUMBER.set(number);
        number
    }

    /// Has the numbers of threads that a child does not have set free in it.
    fn reset_in_children() {
        #[cfg(all(target_os = "linux", not(miri)))]
        {
            use crate::sync::atomic::Ordering;

            unsafe extern "C" fn forked() {
                let mine = NUMBER.get();
                for (place, word) in TAKEN.0.iter().enumerate() {
                    let bit = if mine / 64 == place {
                        1 << (mine % 64)
                    } else {
                        0
                    };
                    // Relaxed: the child has one thread.
                    word.store(bit, Ordering::Relaxed);
                }
            }

            static HOOKED: std::sync::Once = std::sync::Once::new();
            HOOKED.call_once(|| {
                // SAFETY: the hook touches a thread-local without destructor and atomics only. Failure (no memory)
                // leaves the numbers taken in children.
                unsafe { libc::pthread_atfork(None, None, Some(forked)) };
            });
        }
    }
}

/// In a model, each thread has the number of its place in the checker.
#[cfg(incarnation_loom)]
mod imp {
    pub(crate) fn of_this_thread() -> usize {
        crate::sync::thread_index().unwrap_or(super::NUMBERS)
    }
}

pub(crate) use imp::of_this_thread;

/// The numbers, and what is kept under each, for the models.
#[cfg(incarnation_loom)]
#[derive(Debug)]
pub struct NumbersModel(Numbers, crate::sync::cell::UnsafeCell<u64>);

#[cfg(incarnation_loom)]
// SAFETY: the cell is touched under number 0 only; that this excludes others is what the model shows.
unsafe impl Sync for NumbersModel {}

#[cfg(incarnation_loom)]
#[allow(missing_docs, reason = "for the models")]
impl NumbersModel {
    #[allow(clippy::new_without_default, reason = "for the models")]
    pub fn new() -> Self {
        Self(Numbers::new(), crate::sync::cell::UnsafeCell::new(0))
    }

    /// Takes a number, counts under it if it is 0, and gives it back. Returns the number.
    pub fn count_under_zero(&self) -> usize {
        let number = self
            .0
            .take()
            .expect("there are more than a model's threads");
        if number == 0 {
            // SAFETY: only one thread has the number.
            self.1.with_mut(|count| unsafe { *count += 1 });
        }
        self.0.give_back(number);
        number
    }

    pub fn counted(&self) -> u64 {
        // SAFETY: only while no other thread is at it.
        self.1.with(|count| unsafe { *count })
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_the_lowest_free_number_and_none_above_the_maximum() {
        let numbers = Numbers::new();
        let taken: Vec<_> = std::iter::from_fn(|| numbers.take()).collect();
        assert_eq!(taken, (0..NUMBERS).collect::<Vec<_>>());
        for number in [70, 3] {
            numbers.give_back(number);
        }
        assert_eq!(
            [numbers.take(), numbers.take(), numbers.take()],
            [Some(3), Some(70), None]
        );
    }

    #[test]
    fn a_number_is_given_back_when_its_thread_ends() {
        // Other tests run meanwhile, but in no more threads than there are numbers. Miri takes long for each.
        let threads = if cfg!(miri) { NUMBERS + 50 } else { 10_000 };
        for _ in 0..threads {
            let number = std::thread::spawn(of_this_thread).join().unwrap();
            assert!(number < NUMBERS, "{number}");
        }
    }

    #[test]
    fn a_destructor_that_runs_after_the_number_was_given_back_has_none() {
        struct Last(std::sync::mpsc::Sender<usize>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.send(of_this_thread()).unwrap();
            }
        }
        std::thread_local! {
            static LAST: core::cell::RefCell<Option<Last>> = const { core::cell::RefCell::new(None) };
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Registered before the number, so destroyed after it or before it; either is an answer.
            LAST.with(|last| *last.borrow_mut() = Some(Last(sender)));
            assert!(of_this_thread() < NUMBERS);
        })
        .join()
        .unwrap();
        assert!(receiver.recv().unwrap() <= NUMBERS);
    }
}

//! Races: some threads do one thing over and over while another does something that ends.
#![forbid(unsafe_code)]

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Sets the flag when it is dropped, also by a panic: the others must not run on then.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `main` on the calling thread and each of the others on one of its own, at least once and over
/// and over until `main` has returned or a thread has panicked. All begin at once. The panics of all of
/// them are passed on.
pub fn meanwhile<R>(others: &[&(dyn Fn() + Sync)], main: impl FnOnce() -> R) -> R {
    let (over, begin) = (AtomicBool::new(false), Barrier::new(others.len() + 1));
    thread::scope(|scope| {
        let mut running = Vec::new();
        for other in others {
            running.push(scope.spawn(|| {
                let _over = Over(&over);
                begin.wait();
                // A short `main` may have returned before this thread runs at all: what it does is
                // done once all the same, or a race would pass in which no thread took part.
                loop {
                    other();
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }));
        }
        let result = {
            let _over = Over(&over);
            begin.wait();
            main()
        };
        // A scope alone does not wait for the destructors of their thread-locals, which may pin.
        for thread in running {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        result
    })
}

/// Runs `work` with the numbers from 0 to `threads - 1`, each on a thread of its own, all beginning at
/// once; returns what they return, in order.
pub fn at_once<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let begin = Barrier::new(threads);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (begin, work) = (&begin, &work);
                scope.spawn(move || {
                    begin.wait();
                    work(number)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_either_side_ends_the_race() {
        let raced = std::panic::catch_unwind(|| meanwhile(&[&|| ()], || panic!("main")));
        assert!(raced.is_err());
        let raced = std::panic::catch_unwind(|| meanwhile(&[&|| panic!("other")], || ()));
        assert!(raced.is_err());
        assert_eq!(meanwhile(&[&|| ()], || 7), 7);
        assert_eq!(at_once(3, |number| number * 2), [0, 2, 4]);
    }
}

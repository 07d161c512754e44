//! A model in a process of its own, which is given so much time of a processor and no more.

use std::fs;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

/// Waits for a process, and ends it once it used up `patience`; `None` then. And says what time of a processor it took.
///
/// That time does not pass while the process waits for a processor, so a busy machine makes no model take too long.
pub fn wait(mut child: Child, patience: Option<Duration>) -> (Option<Output>, Duration) {
    let begin = Instant::now();
    let mut took = Duration::ZERO;
    // The few lines that it prints never fill the pipe.
    while child.try_wait().expect("a model ends").is_none() {
        took = time_of(&child).unwrap_or_else(|| begin.elapsed());
        if patience.is_some_and(|patience| took > patience) {
            let _ = child.kill();
            let _ = child.wait();
            return (None, took);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    (Some(child.wait_with_output().expect("a model ends")), took)
}

/// What a process used of all processors so far, where the system says so.
fn time_of(child: &Child) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    // Behind the name, which may hold spaces: the state is the third field, the times are the 14th and the 15th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    // A hundred ticks a second, on every Linux.
    Some(Duration::from_millis((user + system) * 10))
}

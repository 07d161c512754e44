//! The play in plain lines, for pipes and logs.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::acts::{ACTS, Stage};
use crate::rates::Rates;
use crate::readers::Lookups;
use crate::summary;

/// How often a line says that things go on.
const EVERY: Duration = Duration::from_secs(2);

/// Prints until the play is over; false if it was interrupted before.
pub fn show(stage: &Arc<Stage>, lookups: &Lookups, interrupted: &AtomicBool) -> io::Result<bool> {
    let mut out = io::stdout();
    let (mut begun, mut ended) = (0, 0);
    let mut rates = Rates::default();
    let mut last = Instant::now();
    rates.line(&stage.cast, lookups);
    loop {
        let progress = stage.progress();
        for (index, scene) in progress.scenes.iter().enumerate().skip(ended) {
            writeln!(out, "{}", summary::scene(index + 1, scene))?;
        }
        ended = progress.scenes.len();
        if progress.over {
            return Ok(true);
        }
        if progress.number > begun {
            begun = progress.number;
            writeln!(out, "     {begun}/{ACTS} {} ...", progress.title)?;
        }
        if interrupted.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if last.elapsed() >= EVERY {
            last = Instant::now();
            writeln!(out, "     {}", rates.line(&stage.cast, lookups))?;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

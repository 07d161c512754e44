//! The play in plain lines, for pipes and logs.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::acts::{ACTS, Stage};
use crate::rates::Rates;
use crate::readers::Lookups;
use crate::summary;

/// How often a line says that things go on.
const EVERY: Duration = Duration::from_secs(2);

/// Prints until the play is over.
pub fn show(stage: &Arc<Stage>, lookups: &Lookups) {
    let (mut begun, mut ended) = (0, 0);
    let mut rates = Rates::default();
    let mut last = Instant::now();
    rates.line(&stage.cast, lookups);
    loop {
        let progress = stage.progress();
        for (index, scene) in progress.scenes.iter().enumerate().skip(ended) {
            println!(
                "{}",
                summary::scene(index + 1, scene)
                    .lines()
                    .next()
                    .unwrap_or_default()
            );
        }
        ended = progress.scenes.len();
        if progress.number > begun {
            begun = progress.number;
            println!("     {begun}/{ACTS} {} ...", progress.title);
        }
        if progress.over {
            return;
        }
        if last.elapsed() >= EVERY {
            last = Instant::now();
            println!("     {}", rates.line(&stage.cast, lookups));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

//! A node that refutes without pause is killed (SIGKILL) at random moments, hundreds of times, and started again. It never
//! uses an incarnation twice, and begins at least `min_rejoin_bump` above every one it used.
//!
//! The node is this very test, run again in a process of its own. It uses an incarnation by writing it
//! to a log, as a real one sends it to peers: every incarnation in the log was used, and the kernel keeps the log when the
//! process dies. For power failures see `durable_sync.rs`.
#![cfg(all(feature = "persist", unix))]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use incarnation::IncarnationTracker;
use incarnation::persist::{DurableIncarnation, PersistError};

const PLACE: &str = "INCARNATION_CRASH_PLACE";
const BLOCK: &str = "INCARNATION_CRASH_BLOCK";
const KILLS: usize = 240;
const BUMP: u64 = 5;
const THREADS: u64 = 2;
const SIGKILL: i32 = 9;

/// Not a test by itself: the node that is killed.
#[test]
fn the_node_to_be_killed() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let place = PathBuf::from(place);
    let block = std::env::var(BLOCK).unwrap().parse().unwrap();
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .min_rejoin_bump(BUMP)
        .local_durable(
            DurableIncarnation::open(place.join("incarnation"))
                .unwrap()
                .block(block),
        )
        .build()
        .unwrap();
    let local = tracker.local();
    let log = File::options()
        .append(true)
        .open(place.join("log"))
        .unwrap();
    // One write of eight bytes each, appended: whole or not at all, also between threads.
    let announce = |own: u64| (&log).write_all(&own.to_le_bytes()).unwrap();
    announce(local.current().get());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                loop {
                    // One accuses it of the present, the other now and then of the near future.
                    let own = local.current().get();
                    let ahead = thread * (own % 7);
                    announce(local.refute(own + ahead).unwrap().get());
                }
            });
        }
    });
}

/// A small generator (xorshift): which moments it picks must vary, nothing more.
struct Random(u64);

impl Random {
    fn up_to(&mut self, longest: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        longest.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

fn start(place: &Path, block: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_node_to_be_killed", "--nocapture"])
        .env(PLACE, place)
        .env(BLOCK, block.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn used(log: &Path) -> Vec<u64> {
    let bytes = fs::read(log).unwrap();
    assert_eq!(bytes.len() % 8, 0);
    bytes
        .chunks_exact(8)
        .map(|record| u64::from_le_bytes(record.try_into().unwrap()))
        .collect()
}

#[test]
fn a_node_killed_at_any_moment_never_uses_an_incarnation_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (file, log) = (
        directory.path().join("incarnation"),
        directory.path().join("log"),
    );
    let seed = RandomState::new().hash_one(0) | 1;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let mut all = BTreeSet::new();
    let mut killed_before_use = 0;
    let mut startup = Duration::from_millis(5);

    for round in 0..KILLS {
        File::create(&log).unwrap();
        // Mostly small blocks, so that most kills strike near a disk write.
        let block = [1, 1, 2, 3, 10, 120][round % 6];
        let started = Instant::now();
        let mut child = start(directory.path(), block);
        if round % 3 > 0 {
            // In full swing...
            while fs::metadata(&log).unwrap().len() == 0 {
                let waited = started.elapsed();
                assert!(waited < Duration::from_secs(60), "it never starts");
                thread::sleep(Duration::from_micros(200));
            }
            startup = started.elapsed();
            if round % 40 == 1 {
                let locked = DurableIncarnation::open(&file).unwrap_err();
                assert!(matches!(locked, PersistError::Locked { .. }), "{locked}");
            }
            thread::sleep(random.up_to(Duration::from_millis(20)));
        } else {
            // ... or anywhere about its first use, as long as that took the last time.
            thread::sleep(startup / 2 + random.up_to(startup));
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(SIGKILL),
            "it ended by itself: {status}"
        );

        let this_run = used(&log);
        killed_before_use += usize::from(this_run.is_empty());
        let highest_before: Option<u64> = all.last().copied();
        for own in this_run {
            if let Some(highest) = highest_before {
                assert!(
                    own >= highest + BUMP,
                    "{own} after a run that used {highest}"
                );
            }
            assert!(all.insert(own), "{own} was used twice");
        }
        if let Some(&highest) = all.last() {
            let mark = DurableIncarnation::decode(&fs::read(&file).unwrap()).unwrap();
            assert!(
                mark.get() >= highest,
                "{highest} was used, {mark} is on disk"
            );
        }
    }

    println!(
        "{KILLS} kills, {killed_before_use} of them before the first use, {} incarnations used",
        all.len()
    );
    assert!(killed_before_use < KILLS / 2, "too few runs got anywhere");
    assert!(all.len() > KILLS * 2, "too few refutations");
    let left: usize = fs::read_dir(directory.path()).unwrap().count();
    assert!(
        left <= 4,
        "file, lock, log and at most one half-written file"
    );
}

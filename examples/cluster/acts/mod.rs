//! The play: its acts in order, what each must come to, and how they are timed. Every act looks only
//! at what the trackers of running nodes say.

mod farewells;
mod lies;
mod lives;
mod patience;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use incarnation::{Incarnation, Status};
use incarnation_swim::test_datagrams;
use tokio::net::UdpSocket;

use self::patience::Patience;
use crate::cast::Shared;
use crate::options::CLUSTER;

/// How often an act looks.
const LOOK: Duration = Duration::from_millis(4);

/// What an act came to.
#[derive(Clone, Debug)]
pub struct Scene {
    pub title: &'static str,
    pub expected: &'static str,
    pub seen: String,
    pub ok: bool,
    pub took: Duration,
}

/// How far the play is.
#[derive(Clone, Debug)]
pub struct Progress {
    pub title: &'static str,
    pub number: usize,
    pub began: Instant,
    /// About how long the act takes.
    pub usually: Duration,
    pub scenes: Vec<Scene>,
    /// Periods from a death to the first suspicion.
    pub detections: Vec<f64>,
    /// Periods from the first suspicion of a node to the last observer's.
    pub disseminations: Vec<f64>,
    pub over: bool,
}

/// What acts work with.
pub struct Stage {
    pub cast: Shared,
    progress: Mutex<Progress>,
}

/// Seen as expected, or what was seen instead.
type Outcome = Result<String, String>;

/// The part each node plays, beside those that just live.
mod role {
    /// Dies, and comes back with its incarnation.
    pub const RETURNS: usize = 2;
    /// Dies, and something with its old incarnation comes instead.
    pub const ZOMBIE: usize = 3;
    /// Freezes for a while.
    pub const FREEZES: usize = 4;
    /// Leaves.
    pub const LEAVES: usize = 5;
}

pub const ACTS: usize = 9;

impl Stage {
    pub fn new(cast: Shared) -> Arc<Self> {
        let progress = Progress {
            title: "",
            number: 0,
            began: Instant::now(),
            usually: Duration::ZERO,
            scenes: Vec::new(),
            detections: Vec::new(),
            disseminations: Vec::new(),
            over: false,
        };
        Arc::new(Self {
            cast,
            progress: Mutex::new(progress),
        })
    }

    pub fn progress(&self) -> Progress {
        self.edit().clone()
    }

    fn edit(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays all acts, or those up to one that fails.
    pub async fn play(&self) {
        let _curtain = Curtain(self);
        macro_rules! act {
            ($title:literal, $expected:literal, $periods:literal, $act:path) => {{
                self.begin($title, $periods);
                let outcome = $act(self).await;
                // The next ones count on it that this one came out well.
                if !self.end($expected, outcome) {
                    return;
                }
            }};
        }
        act!(
            "start at once",
            "all Alive everywhere, no death",
            5,
            lives::start
        );
        act!(
            "kill",
            "suspected first, then Dead at every survivor",
            12,
            lives::kill
        );
        // At once: a node that restarts after the others have evicted the dead would learn of no death.
        act!("restart", "rejoins above its death", 4, lives::restart);
        act!("zombie", "an old incarnation is refused", 4, lies::zombie);
        act!(
            "loss and a freeze",
            "suspected, refuted higher, no node Dead",
            8,
            lives::freeze
        );
        act!(
            "stranger",
            "its lies and joins bring no node in and none out",
            8,
            lies::stranger
        );
        act!(
            "flood",
            "the limit holds, the live stay, a newcomer gets in",
            22,
            lies::flood
        );
        act!(
            "leave",
            "Left everywhere, nowhere Dead",
            4,
            farewells::leave
        );
        act!(
            "sweep",
            "evicted, and buried gossip stays out",
            32,
            farewells::sweep
        );
    }

    fn begin(&self, title: &'static str, periods: u32) {
        let mut progress = self.edit();
        progress.title = title;
        progress.number += 1;
        progress.began = Instant::now();
        progress.usually = self.cast.period() * periods;
    }

    /// Says whether it came out as it should.
    fn end(&self, expected: &'static str, outcome: Outcome) -> bool {
        let mut progress = self.edit();
        let ok = outcome.is_ok();
        let (title, took) = (progress.title, progress.began.elapsed());
        let seen = outcome.unwrap_or_else(|instead| instead);
        progress.scenes.push(Scene {
            title,
            expected,
            seen,
            ok,
            took,
        });
        ok
    }

    /// Waits until something is so; false if it takes more than so many protocol periods of each running node.
    async fn until(&self, periods: u32, mut so: impl FnMut() -> bool) -> bool {
        let patience = Patience::new(&self.cast, periods);
        loop {
            let over = patience.is_over(&self.cast);
            if so() {
                return true;
            }
            if over {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks on for so many periods.
    async fn watch(&self, periods: u32, mut look: impl FnMut()) {
        self.until(periods, || {
            look();
            false
        })
        .await;
    }

    /// Whether all of these see each other Alive at the incarnation that each is at.
    fn in_peace(&self, players: &[usize]) -> bool {
        players.iter().all(|player| {
            let own = self.cast.incarnation(*player);
            self.cast.all_see(*player, |seen| {
                seen.is_some_and(|state| {
                    state.status == Status::Alive && Some(state.incarnation.get()) == own
                })
            })
        })
    }
}

/// Falls when the play ends, in whatever way.
struct Curtain<'a>(&'a Stage);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.edit().over = true;
    }
}

/// Answers what nodes have asked a socket, as a node at incarnation 0 does that is there; with a number in `join`, as one that
/// wants to be let in.
async fn answer(socket: &UdpSocket, join: Option<u64>) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
        let asked = &buffer[..length];
        if let Some(answer) = test_datagrams::answer(CLUSTER, Incarnation::ZERO, asked, join) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// What an error of the operating system makes of an act.
fn refused(error: io::Error) -> String {
    format!("the system refused: {error}")
}

//! A cluster of the SWIM engine `foca` over UDP on loopback, each node with a tracker that mirrors its members for
//! worker threads: six come up, two are killed, one of them comes back as somebody new, the other is forgotten.
//!
//! ```text
//! cargo run --release --example foca_cluster --features foca
//! ```
//!
//! foca belongs to one task; readers of the tracker are on any thread and never wait for it. After every call into foca
//! its list and the tracker are compared. The exit status is 1 if they ever differed, or something did not happen.
#![forbid(unsafe_code)]

#[macro_use]
mod shared;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use foca::{
    AccumulatingRuntime, Config, Foca, Identity, NoCustomBroadcast, PostcardCodec, State, Timer,
};
use incarnation::foca::{Mirror, builder};
use incarnation::{Clock, IncarnationTracker, Status};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

const NODES: usize = 6;
const WORKERS: usize = 2;
/// How long anything may take until it counts as not happening.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node's address, and which of its runs it is: what `foca` needs to let it come back at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Id {
    address: SocketAddr,
    run: u16,
}

impl Identity for Id {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        let run = self.run.checked_add(1)?;
        Some(Self {
            run,
            ..self.clone()
        })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.run > adversary.run
    }
}

type Engine = Foca<Id, PostcardCodec, SmallRng, NoCustomBroadcast>;

/// What all tasks count together.
#[derive(Default)]
struct EventCounters {
    steps: AtomicU64,
    differences: AtomicU64,
    lookups: AtomicU64,
}

/// A node that runs: its tracker, and the task that may be killed.
struct Node {
    address: SocketAddr,
    tracker: IncarnationTracker,
    task: tokio::task::JoinHandle<()>,
}

fn config() -> Config {
    Config {
        probe_period: Duration::from_millis(150),
        probe_rtt: Duration::from_millis(60),
        suspect_to_down_after: Duration::from_millis(500),
        remove_down_after: Some(Duration::from_secs(3)),
        max_transmissions: NonZeroU8::MIN.saturating_add(7),
        ..Config::simple()
    }
}

/// Whether the tracker shows exactly the members of the engine, each in the same state.
fn equal<F>(engine: &Engine, mirror: &Mirror<SocketAddr, F>) -> bool {
    let tracker = mirror.tracker();
    let members = engine.iter_membership_state();
    members.len() == tracker.len()
        && engine.iter_membership_state().all(|member| {
            let status = match member.state() {
                State::Alive => Status::Alive,
                State::Suspect => Status::Suspect,
                State::Down => Status::Dead,
            };
            let address = member.id().address;
            tracker.get(&address).map(|state| state.status) == Some(status)
                && mirror.number(&address) == Some(member.incarnation())
        })
}

/// One node: everything that happens to it goes through this task, into foca and then into the tracker.
async fn node(
    socket: UdpSocket,
    id: Id,
    seed_node: Option<SocketAddr>,
    tracker: IncarnationTracker,
    clock: Clock,
    event_counters: Arc<EventCounters>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let random = SmallRng::seed_from_u64(u64::from(id.address.port()) << 16 | u64::from(id.run));
    let mut engine: Engine = Foca::new(id, config(), random, PostcardCodec);
    let mut mirror = Mirror::new(tracker, |id: &Id| id.address);
    let mut runtime = AccumulatingRuntime::new();
    let (due, mut timers) = mpsc::unbounded_channel::<Timer<Id>>();
    if let Some(address) = seed_node {
        let seed = Id { address, run: 0 };
        let (announced, _) =
            mirror.run(&mut engine, &mut runtime, clock.now(), |engine, runtime| {
                engine.announce(seed, runtime)
            });
        announced?;
    }
    let mut packet = [0; 1500];
    loop {
        // What the last call into foca asked for.
        while let Some((to, data)) = runtime.to_send() {
            // Lost, if it can't be sent: that is what the protocol is for.
            let _ = socket.send_to(&data, to.address).await;
        }
        while let Some((after, timer)) = runtime.to_schedule() {
            let due = due.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let _ = due.send(timer);
            });
        }
        while runtime.to_notify().is_some() {}

        // foca answers out-of-date input with an error and changes nothing.
        let (_result, report) = tokio::select! {
            received = socket.recv_from(&mut packet) => {
                let (len, _) = received?;
                mirror.run(&mut engine, &mut runtime, clock.now(), |engine, runtime| {
                    engine.handle_data(&packet[..len], runtime)
                })
            }
            Some(timer) = timers.recv() => {
                mirror.run(&mut engine, &mut runtime, clock.now(), |engine, runtime| {
                    engine.handle_timer(timer, runtime)
                })
            }
        };
        event_counters.steps.fetch_add(1, Ordering::Relaxed);
        if report.left_out > 0 || !equal(&engine, &mirror) {
            event_counters.differences.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn start(
    address: SocketAddr,
    run: u16,
    seed_node: Option<SocketAddr>,
    clock: &Clock,
    event_counters: &Arc<EventCounters>,
) -> Result<Node, Box<dyn Error>> {
    let socket = UdpSocket::bind(address).await?;
    let address = socket.local_addr()?;
    let tracker = builder(1_000).build()?;
    let lifetime = node(
        socket,
        Id { address, run },
        seed_node,
        tracker.clone(),
        clock.clone(),
        event_counters.clone(),
    );
    let task = tokio::spawn(async move {
        if let Err(error) = lifetime.await {
            eprintln!("{address}: {error}");
        }
    });
    Ok(Node {
        address,
        tracker,
        task,
    })
}

/// Waits until it is so everywhere; whether that came to pass.
async fn see(what: &str, is_so: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !is_so() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seen = is_so();
    let mark = if seen { "ok  " } else { "FAIL" };
    println!("{mark} {what} ({:.1} s)", begun.elapsed().as_secs_f64());
    seen
}

/// What the worker threads do all the time: look members up, in whatever tracker there is.
fn work(
    trackers: &Mutex<Vec<IncarnationTracker>>,
    stop: &AtomicBool,
    event_counters: &EventCounters,
) {
    let mut own: Vec<IncarnationTracker> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        own.clone_from(
            &trackers
                .lock()
                .expect("no thread panics while it holds the lock"),
        );
        let mut lookups = 0;
        for tracker in &own {
            tracker.with(|view| {
                let members: Vec<SocketAddr> = view.iter().map(|(address, _)| *address).collect();
                for member in &members {
                    lookups += u64::from(view.get(member).is_some());
                }
            });
        }
        event_counters.lookups.fetch_add(lookups, Ordering::Relaxed);
        thread::sleep(Duration::from_micros(200));
    }
}

async fn play(
    trackers: &Mutex<Vec<IncarnationTracker>>,
    event_counters: &Arc<EventCounters>,
) -> Result<bool, Box<dyn Error>> {
    let clock = Clock::monotonic();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut nodes = vec![start(anywhere, 0, None, &clock, event_counters).await?];
    let seed_node = nodes[0].address;
    for _ in 1..NODES {
        nodes.push(start(anywhere, 0, Some(seed_node), &clock, event_counters).await?);
    }
    trackers
        .lock()
        .expect("no thread panics while it holds the lock")
        .extend(nodes.iter().map(|node| node.tracker.clone()));

    let alive = |tracker: &IncarnationTracker| tracker.counts().alive;
    let mut well = see("all know all others alive", || {
        nodes.iter().all(|node| alive(&node.tracker) == NODES - 1)
    })
    .await;

    let killed: Vec<Node> = nodes.drain(NODES - 2..).collect();
    for node in &killed {
        node.task.abort();
    }
    let state = |node: &Node, of: SocketAddr| node.tracker.get(&of);
    let status = |node: &Node, of| state(node, of).map(|state| state.status);
    for Node { address, .. } in &killed {
        well &= see(
            &format!("{address} was killed: somebody suspects it"),
            || {
                nodes
                    .iter()
                    .any(|node| status(node, *address) >= Some(Status::Suspect))
            },
        )
        .await;
    }
    for Node { address, .. } in &killed {
        well &= see(&format!("{address} is down everywhere"), || {
            nodes
                .iter()
                .all(|node| status(node, *address) == Some(Status::Dead))
        })
        .await;
    }
    let before: Vec<_> = nodes
        .iter()
        .filter_map(|node| state(node, killed[0].address))
        .collect();

    let back = start(
        killed[0].address,
        1,
        Some(seed_node),
        &clock,
        event_counters,
    )
    .await?;
    well &= see(
        &format!("{} comes back as somebody new", back.address),
        || {
            nodes
                .iter()
                .all(|node| status(node, back.address) == Some(Status::Alive))
        },
    )
    .await;
    let rose = nodes.iter().zip(&before).all(|(node, before)| {
        state(node, back.address).is_some_and(|now| now.incarnation > before.incarnation)
    });
    println!(
        "{} what is stored of it went up, though foca counts from 0 again",
        if rose { "ok  " } else { "FAIL" }
    );
    well &= rose;

    well &= see(&format!("{} is forgotten", killed[1].address), || {
        nodes
            .iter()
            .all(|node| state(node, killed[1].address).is_none())
    })
    .await;
    Ok(well)
}

#[tokio::main]
async fn main() -> ExitCode {
    shared::only_help(include_str!("foca_cluster.rs"));
    let (event_counters, stop) = (
        Arc::new(EventCounters::default()),
        Arc::new(AtomicBool::new(false)),
    );
    let trackers = Arc::new(Mutex::new(Vec::new()));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (trackers, stop, event_counters) =
                (trackers.clone(), stop.clone(), event_counters.clone());
            thread::spawn(move || work(&trackers, &stop, &event_counters))
        })
        .collect();
    let outcome = play(&trackers, &event_counters).await;
    stop.store(true, Ordering::Relaxed);
    let worked = workers.into_iter().all(|worker| worker.join().is_ok());

    let [steps, differences, lookups] = [
        &event_counters.steps,
        &event_counters.differences,
        &event_counters.lookups,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    println!("{steps} calls into foca, {lookups} lookups by {WORKERS} worker threads meanwhile");
    println!("{differences} differences between the trackers and foca's members");
    match outcome {
        Ok(true) if worked && steps > 0 && lookups > 0 && differences == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("foca_cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

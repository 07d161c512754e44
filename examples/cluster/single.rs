//! One node as a process of its own: real processes on any hosts form a cluster. It prints a line
//! whenever what its tracker says has changed:
//!
//! ```text
//! status me=10.0.0.1:7946@0 phase=member 10.0.0.2:7946=alive@0 10.0.0.3:7946=suspect@4
//! ```
//!
//! and leaves on purpose when it is interrupted or terminated, or when nobody reads its lines any more. That a seed
//! does not answer is told on the standard error.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use incarnation::IncarnationTracker;
use incarnation::persist::DurableIncarnation;
use incarnation_swim::{Phase, Protocol};
use tokio::net::UdpSocket;

use crate::node::{Node, Surroundings};
use crate::options::{Single, config};

/// Runs until a signal comes.
pub async fn run(options: &Single) -> io::Result<()> {
    let surroundings = Surroundings::default();
    let socket = UdpSocket::bind(options.bind)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", options.bind)))?;
    let bound = socket.local_addr()?;
    let mut me = options.advertise;
    if options.advertise == options.bind {
        // Port 0 was any.
        me = bound;
    }
    let period = options.period;
    let mut builder = IncarnationTracker::builder().local_node(me);
    if let Some(file) = &options.incarnation_file {
        builder = builder.local_durable(DurableIncarnation::open(file).map_err(io::Error::other)?);
    }
    let tracker = builder.build().map_err(io::Error::other)?;
    // With the seed, answers can be forged: it is nobody else's business.
    let seed = match options.seed {
        Some(seed) => seed ^ (u64::from(me.port()) << 32),
        None => RandomState::new().build_hasher().finish(),
    };
    let seeds = options.join.clone();
    let node = Node::start(
        socket,
        me,
        tracker,
        config(period),
        seeds,
        seed,
        &surroundings,
    )
    .await?;
    let told = tokio::select! {
        told = tell(&node.protocol, period / 10) => told,
        never = tell_of_silence(&node.protocol, &options.join, period * PATIENCE) => match never {},
        () = signal() => Ok(()),
    };
    node.leave().await;
    tokio::time::sleep(period * 3).await;
    node.kill().await;
    told
}

/// After how many periods a seed that has not answered is told of.
const PATIENCE: u32 = 5;

/// Says now and then which seeds do not answer, while the node is not let in.
async fn tell_of_silence(
    protocol: &Protocol,
    seeds: &[SocketAddr],
    every: Duration,
) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(every).await;
        if protocol.phase() != Phase::Joining {
            continue;
        }
        let silent = seeds
            .iter()
            .filter(|seed| !protocol.tracker().can_suspect(*seed));
        let silent: Vec<_> = silent.map(SocketAddr::to_string).collect();
        if silent.is_empty() {
            eprintln!("cluster: the seed answers, but does not let this node in yet");
        } else {
            eprintln!(
                "cluster: no answer from {} yet; is a node running there, with --bind or --advertise of that address?",
                silent.join(", ")
            );
        }
    }
}

/// Prints the status whenever it changed.
async fn tell(protocol: &Protocol, every: Duration) -> io::Result<()> {
    let mut last = String::new();
    loop {
        let status = status(protocol);
        if status != last {
            let mut out = io::stdout().lock();
            writeln!(out, "{status}")?;
            out.flush()?;
            last = status;
        }
        tokio::time::sleep(every).await;
    }
}

fn status(protocol: &Protocol) -> String {
    let tracker = protocol.tracker();
    let phase = format!("{:?}", protocol.phase()).to_lowercase();
    let mut line = format!(
        "status me={}@{} phase={phase}",
        protocol.me(),
        tracker.local().current()
    );
    let mut members: Vec<_> = tracker.iter().collect();
    members.sort_by_key(|(node, _)| *node);
    for (node, state) in members {
        let _ = write!(line, " {node}={state}");
    }
    line
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

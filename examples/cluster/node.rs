//! A node on a real socket: several tasks that receive datagrams and write to the one tracker at the
//! same time, and one for the timers. It can be made to lose datagrams, to freeze, and to vanish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use incarnation::{Clock, IncarnationTracker, Timestamp};
use incarnation_swim::{Config, Datagram, Protocol};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::options::RECEIVERS;

/// A running node. Dropping it ends it at once, and tells no other node.
pub struct Node {
    pub protocol: Arc<Protocol>,
    socket: Arc<UdpSocket>,
    frozen: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What all nodes of a process share.
#[derive(Clone, Default)]
pub struct Surroundings {
    pub clock: Clock,
    /// The chance in percent that a datagram is lost on arrival.
    pub loss: Arc<AtomicU64>,
}

impl Node {
    /// Starts a node on a socket, known to its peers as `me`, and lets it join.
    pub async fn start(
        socket: UdpSocket,
        me: SocketAddr,
        tracker: IncarnationTracker<SocketAddr>,
        config: Config,
        seeds: Vec<SocketAddr>,
        seed: u64,
        surroundings: &Surroundings,
    ) -> io::Result<Self> {
        let protocol = Protocol::new(tracker, me, config, seed).map_err(io::Error::other)?;
        let (frozen, thawing) = watch::channel(false);
        let sooner = Arc::new(Notify::new());
        let mut node = Self {
            protocol: Arc::new(protocol),
            socket: Arc::new(socket),
            frozen,
            tasks: JoinSet::new(),
        };
        let mut out = Vec::new();
        node.protocol
            .join(seeds, surroundings.clock.now(), &mut out);
        transmit(&node.socket, &mut out).await;
        for receiver in 0..RECEIVERS {
            let dice = Rng::with_seed(seed ^ ((receiver as u64 + 1) << 32));
            let surroundings = surroundings.clone();
            let (socket, protocol) = (node.socket.clone(), node.protocol.clone());
            node.tasks.spawn(receive(
                socket,
                protocol,
                surroundings,
                thawing.clone(),
                sooner.clone(),
                dice,
            ));
        }
        let clock = surroundings.clock.clone();
        let (socket, protocol) = (node.socket.clone(), node.protocol.clone());
        node.tasks
            .spawn(keep_time(socket, protocol, clock, thawing, sooner));
        Ok(node)
    }

    /// Stops it as SIGSTOP would: what is sent to it waits in the socket.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Leaves on purpose; let some periods pass before dropping it.
    pub async fn leave(&self) {
        let mut out = Vec::new();
        self.protocol.leave(&mut out);
        transmit(&self.socket, &mut out).await;
    }

    /// Ends it and waits until its socket is free again.
    pub async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn receive(
    socket: Arc<UdpSocket>,
    protocol: Arc<Protocol>,
    surroundings: Surroundings,
    mut frozen: watch::Receiver<bool>,
    sooner: Arc<Notify>,
    mut dice: Rng,
) {
    let mut buffer = vec![0; 65_536];
    let mut out = Vec::new();
    loop {
        let received = socket.recv_from(&mut buffer).await;
        if frozen.wait_for(|frozen| !frozen).await.is_err() {
            return;
        }
        // Errors are those of datagrams sent before (a port that is closed): nothing came.
        let Ok((length, from)) = received else {
            continue;
        };
        // A number that orders nothing.
        if dice.u64(..100) < surroundings.loss.load(Ordering::Relaxed) {
            continue;
        }
        let now = surroundings.clock.now();
        let due = protocol.probes_due();
        // What is wrong with a datagram is counted by the protocol.
        let _ = protocol.handle_datagram(from, &buffer[..length], now, &mut out);
        transmit(&socket, &mut out).await;
        if let Some(now_due) = protocol.probes_due()
            && due.is_none_or(|due| now_due < due)
        {
            sooner.notify_one();
        }
    }
}

async fn keep_time(
    socket: Arc<UdpSocket>,
    protocol: Arc<Protocol>,
    clock: Clock,
    mut frozen: watch::Receiver<bool>,
    sooner: Arc<Notify>,
) {
    let mut out = Vec::new();
    loop {
        if frozen.wait_for(|frozen| !frozen).await.is_err() {
            return;
        }
        let now = clock.now();
        let next: Timestamp = protocol.handle_timer(now, &mut out);
        transmit(&socket, &mut out).await;
        tokio::select! {
            () = tokio::time::sleep(next.since(clock.now())) => {}
            () = sooner.notified() => {}
        }
    }
}

/// Sends; what the network refuses is lost, as on any network.
pub async fn transmit(socket: &UdpSocket, out: &mut Vec<Datagram>) {
    for datagram in out.drain(..) {
        let _ = socket.send_to(&datagram.bytes, datagram.to).await;
    }
}

//! The nodes of the play: their addresses, which of them run, and what the trackers of the running ones hold about the
//! others. Acts change the cast; readers and the screen only read it.
//!
//! The cast stores what the play did to each node. Every membership state is read from the trackers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use incarnation::persist::DurableIncarnation;
use incarnation::{IncarnationTracker, NodeState};
use incarnation_swim::{Config, Stats};
use tempfile::TempDir;
use tokio::net::UdpSocket;

use crate::node::{Node, Surroundings};
use crate::options::{Play, config};

/// Limits of the trackers: enough for the play, and few enough that a flood of invented nodes reaches them.
pub const MAX_NODES: usize = 80;
pub const HARD_LIMIT: usize = 100;
/// For how many periods dead nodes stay in the table.
pub const RETENTION: u32 = 30;
/// For how many periods an unconfirmed node stays in the table.
pub const UNCONFIRMED: u32 = 8;

/// What the play last did to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Waiting,
    Runs,
    Frozen,
    Killed,
    Left,
}

struct Player {
    address: SocketAddr,
    socket: Option<UdpSocket>,
    part: Part,
    node: Option<Node>,
    /// The counters of its earlier processes.
    past: Vec<Stats>,
}

pub struct Cast {
    pub surroundings: Surroundings,
    pub config: Config,
    options: Play,
    players: Mutex<Vec<Player>>,
    /// Holds the files of the nodes' incarnations.
    directory: TempDir,
}

/// What an observer's tracker holds about a node.
pub type Seen = Option<NodeState>;

impl Cast {
    /// Binds a socket for each node, and one for a newcomer.
    pub async fn new(options: &Play) -> io::Result<Self> {
        let mut players = Vec::new();
        for _ in 0..=options.nodes {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            players.push(Player {
                address: socket.local_addr()?,
                socket: Some(socket),
                part: Part::Waiting,
                node: None,
                past: Vec::new(),
            });
        }
        Ok(Self {
            surroundings: Surroundings::default(),
            config: config(options.period()),
            options: options.clone(),
            players: Mutex::new(players),
            directory: tempfile::tempdir()?,
        })
    }

    fn players(&self) -> MutexGuard<'_, Vec<Player>> {
        self.players.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn period(&self) -> Duration {
        self.config.period
    }

    /// How many datagrams the act of losses loses, in percent.
    pub fn loss(&self) -> u64 {
        self.options.loss
    }

    /// How many nodes play from the start. The newcomer has the index after theirs.
    pub fn len(&self) -> usize {
        self.options.nodes as usize
    }

    pub fn address(&self, player: usize) -> SocketAddr {
        self.players()[player].address
    }

    pub fn parts(&self) -> Vec<Part> {
        self.players().iter().map(|player| player.part).collect()
    }

    /// The trackers of the nodes that run, each with the node's index.
    pub fn trackers(&self) -> Vec<(usize, IncarnationTracker<SocketAddr>)> {
        let players = self.players();
        let running = players
            .iter()
            .enumerate()
            .filter(|(_, player)| player.part == Part::Runs);
        running
            .filter_map(|(index, player)| {
                Some((index, player.node.as_ref()?.protocol.tracker().clone()))
            })
            .collect()
    }

    /// How many protocol periods each running node has begun.
    pub fn periods(&self) -> Vec<(usize, u64)> {
        let players = self.players();
        let running = players
            .iter()
            .enumerate()
            .filter(|(_, player)| player.part == Part::Runs);
        running
            .filter_map(|(index, player)| {
                Some((index, player.node.as_ref()?.protocol.stats().periods))
            })
            .collect()
    }

    /// What the tracker of each other running node holds about a player.
    pub fn views_of(&self, player: usize) -> Vec<(usize, Seen)> {
        let address = self.address(player);
        let others = self
            .trackers()
            .into_iter()
            .filter(|(observer, _)| *observer != player);
        others
            .map(|(observer, tracker)| (observer, tracker.get(&address)))
            .collect()
    }

    /// Which other running nodes hold a player, or a tombstone of it.
    pub fn remembering(&self, player: usize) -> Vec<usize> {
        let address = self.address(player);
        let others = self.trackers().into_iter();
        others
            .filter(|(observer, tracker)| {
                *observer != player
                    && (tracker.contains(&address) || tracker.tombstone(&address).is_some())
            })
            .map(|(observer, _)| observer)
            .collect()
    }

    /// Whether `so` holds for what every other running node's tracker holds about a player.
    pub fn all_see(&self, player: usize, so: impl Fn(Seen) -> bool) -> bool {
        self.views_of(player).into_iter().all(|(_, seen)| so(seen))
    }

    /// The incarnation of a running player.
    pub fn incarnation(&self, player: usize) -> Option<u64> {
        let players = self.players();
        let node = players[player].node.as_ref()?;
        Some(node.protocol.tracker().local().current().get())
    }

    /// The sum of a counter over all runs of all nodes.
    pub fn total(&self, counter: impl Fn(&Stats) -> u64) -> u64 {
        let players = self.players();
        let running = players
            .iter()
            .filter_map(|player| Some(player.node.as_ref()?.protocol.stats()));
        let past = players
            .iter()
            .flat_map(|player| player.past.iter().copied());
        running.chain(past).map(|stats| counter(&stats)).sum()
    }

    /// Starts a player at the incarnation in its file.
    pub async fn start(&self, player: usize) -> io::Result<()> {
        let (address, socket) = {
            let player = &mut self.players()[player];
            (player.address, player.socket.take())
        };
        let socket = match socket {
            Some(socket) => socket,
            None => UdpSocket::bind(address).await?,
        };
        let period = self.period();
        let file = self
            .directory
            .path()
            .join(format!("incarnation-{}", address.port()));
        let durable = DurableIncarnation::open(file).map_err(io::Error::other)?;
        let tracker = IncarnationTracker::builder()
            .local_node(address)
            .local_durable(durable)
            .max_nodes(MAX_NODES)
            .hard_limit(HARD_LIMIT)
            .dead_retention(period * RETENTION)
            .unconfirmed_timeout(period * UNCONFIRMED)
            .build()
            .map_err(io::Error::other)?;
        let seeds = vec![self.address(0), self.address(1)];
        let seed = self.options.seed.wrapping_mul(1000) + player as u64;
        let config = self.config.clone();
        let surroundings = &self.surroundings;
        let node = Node::start(socket, address, tracker, config, seeds, seed, surroundings).await?;
        let mut players = self.players();
        players[player].node = Some(node);
        players[player].part = Part::Runs;
        Ok(())
    }

    fn take(&self, player: usize, part: Part) -> Option<Node> {
        let player = &mut self.players()[player];
        player.part = part;
        let node = player.node.take()?;
        player.past.push(node.protocol.stats());
        Some(node)
    }

    /// Ends a player's process; it tells no other node.
    pub async fn kill(&self, player: usize) {
        if let Some(node) = self.take(player, Part::Killed) {
            node.kill().await;
        }
    }

    /// Freezes a player, or lets it go on.
    pub fn freeze(&self, player: usize, frozen: bool) {
        let player = &mut self.players()[player];
        player.part = if frozen { Part::Frozen } else { Part::Runs };
        if let Some(node) = &player.node {
            node.freeze(frozen);
        }
    }

    /// Makes a player leave. Its process goes on, so that the others hear of it, until the returned node is killed.
    pub async fn leave(&self, player: usize) -> Option<Node> {
        let node = self.take(player, Part::Left)?;
        node.leave().await;
        Some(node)
    }
}

/// The cast, shared by acts, readers and the screen.
pub type Shared = Arc<Cast>;

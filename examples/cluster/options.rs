//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use incarnation_swim::Config;

/// A SWIM cluster whose only membership state is the tracker.
///
/// Without --bind: a whole cluster over UDP on this machine that plays out starts, deaths, losses,
/// lies and farewells, and says whether each came out as it should. With --bind: one node, to be
/// joined by others on any host.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// How many nodes play (6 to 64)
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(6..=64))]
    pub nodes: u16,
    /// The part of all datagrams that is lost in the act of losses, in percent
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=50))]
    pub loss: u8,
    /// About how long the play lasts; it sets the protocol period, a hundredth of this
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(10..=3600))]
    pub seconds: u16,
    /// Print plain lines even on a terminal
    #[arg(long)]
    pub plain: bool,
    /// What all random choices are made by
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run one node at this address, at which its peers can reach it
    #[arg(long)]
    pub bind: Option<SocketAddr>,
    /// With --bind: a node to join by way of; may be given more than once
    #[arg(long, requires = "bind")]
    pub join: Vec<SocketAddr>,
    /// With --bind: the protocol period in milliseconds
    #[arg(long, requires = "bind", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(30..=60_000))]
    pub period: u64,
    /// With --bind: the file in which the node's incarnation outlives it
    #[arg(long, requires = "bind")]
    pub incarnation_file: Option<PathBuf>,
}

/// Of this example's datagrams.
pub const CLUSTER: u32 = 0x1c_0de;

/// How many tasks of each node receive datagrams, all writing to its one tracker.
pub const RECEIVERS: usize = 3;

/// What nodes run with, for a period.
pub fn config(period: Duration) -> Config {
    Config {
        cluster: CLUSTER,
        period,
        probe_timeout: period / 3,
        sync_periods: 10,
        ..Config::default()
    }
}

impl Options {
    /// The protocol period of the play.
    pub fn play_period(&self) -> Duration {
        Duration::from_secs(self.seconds.into()) / 100
    }
}

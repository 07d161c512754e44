//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use incarnation_swim::Config;
use lexopt::prelude::*;

pub const HELP: &str = "\
A SWIM cluster whose only membership state is the tracker.

A whole cluster over UDP on this machine, which plays out starts, deaths, losses, lies and farewells,
and says whether each came out as it should:
  cluster [--nodes N] [--loss PERCENT] [--seconds N] [--plain] [--seed N]
One node, to be joined by others on any host:
  cluster --bind IP:PORT [--advertise IP:PORT] [--join IP:PORT]... [--period MS]
          [--incarnation-file FILE] [--seed N]

  --nodes N                how many nodes play, 8 to 64 [12]
  --loss PERCENT           datagrams lost in the act of losses, 0 to 30 [20]
  --seconds N              about how long the play lasts, 10 to 3600; the protocol period is a
                           hundredth of it [20]
  --plain                  plain lines even on a terminal
  --seed N                 what random choices are made by [1; with --bind, the system's randomness]
  --bind IP:PORT           where this node receives
  --advertise IP:PORT      where peers reach it, if that is elsewhere; needed with --bind 0.0.0.0:PORT
  --join IP:PORT           a node to join by way of; may be given more than once
  --period MS              the protocol period, 30 to 60000 [1000]
  --incarnation-file FILE  where the node's incarnation outlives it";

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    Help,
    Play(Play),
    Single(Single),
}

/// A whole cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Play {
    pub nodes: u64,
    pub loss: u64,
    pub seconds: u64,
    pub plain: bool,
    pub seed: u64,
}

/// What is played unless told otherwise.
const PLAY: Play = Play {
    nodes: 12,
    loss: 20,
    seconds: 20,
    plain: false,
    seed: 1,
};

/// One node.
#[derive(Clone, Debug)]
pub struct Single {
    pub bind: SocketAddr,
    /// The node's own address.
    pub advertise: SocketAddr,
    pub join: Vec<SocketAddr>,
    pub period: Duration,
    pub incarnation_file: Option<PathBuf>,
    /// `None`: the system's randomness.
    pub seed: Option<u64>,
}

/// Of this example's datagrams.
pub const CLUSTER: u32 = 0x1_c0de;

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

impl Play {
    pub fn period(&self) -> Duration {
        Duration::from_secs(self.seconds) / 100
    }
}

/// Reads the command line, program name and all.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut play = PLAY;
    let mut of_play = None;
    let (mut bind, mut join, mut period, mut incarnation_file) = (None, Vec::new(), None, None);
    let (mut advertise, mut seed) = (None, None);
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        if let Long(name @ ("nodes" | "loss" | "seconds" | "plain")) = argument {
            of_play = Some(format!("--{name}"));
        }
        match argument {
            Long("nodes") => play.nodes = within(&mut parser, "--nodes", 8, 64)?,
            Long("loss") => play.loss = within(&mut parser, "--loss", 0, 30)?,
            Long("seconds") => play.seconds = within(&mut parser, "--seconds", 10, 3600)?,
            Long("plain") => play.plain = true,
            Long("seed") => seed = Some(parser.value()?.parse()?),
            Long("bind") => bind = Some(any_address(&mut parser, "--bind")?),
            Long("advertise") => advertise = Some(address(&mut parser, "--advertise")?),
            Long("join") => join.push(address(&mut parser, "--join")?),
            Long("period") => period = Some(within(&mut parser, "--period", 30, 60_000)?),
            Long("incarnation-file") => incarnation_file = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(Command::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    match bind {
        Some(_) if of_play.is_some() => {
            let option = of_play.unwrap_or_default();
            Err(format!("{option} doesn't go with --bind").into())
        }
        Some(bind) if bind.ip().is_unspecified() && advertise.is_none() => Err(format!(
            "--bind {bind} is every address of this host; --advertise IP:PORT says by which one peers reach the node"
        )
        .into()),
        Some(bind) => Ok(Command::Single(Single {
            bind,
            advertise: advertise.unwrap_or(bind),
            join,
            period: Duration::from_millis(period.unwrap_or(1000)),
            incarnation_file,
            seed,
        })),
        None if !join.is_empty()
            || period.is_some()
            || incarnation_file.is_some()
            || advertise.is_some() =>
        {
            Err("--advertise, --join, --period and --incarnation-file need --bind".into())
        }
        None => {
            play.seed = seed.unwrap_or(play.seed);
            Ok(Command::Play(play))
        }
    }
}

fn within(
    parser: &mut lexopt::Parser,
    option: &str,
    low: u64,
    high: u64,
) -> Result<u64, lexopt::Error> {
    let value = parser.value()?.string()?;
    match value.parse() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("{option} takes a number from {low} to {high}, not {value}").into()),
    }
}

/// An address that others can send to.
fn address(parser: &mut lexopt::Parser, option: &str) -> Result<SocketAddr, lexopt::Error> {
    let address = any_address(parser, option)?;
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(format!(
            "{option} takes the address and port by which peers reach a node, which {address} is not"
        )
        .into());
    }
    Ok(address)
}

/// An address to receive at. An IPv4 address mapped into IPv6 counts as the IPv4 address.
fn any_address(parser: &mut lexopt::Parser, option: &str) -> Result<SocketAddr, lexopt::Error> {
    let value = parser.value()?.string()?;
    match value.parse::<SocketAddr>() {
        Ok(address) if !address.ip().is_multicast() => Ok(match address {
            SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
                SocketAddr::new(address.ip().to_canonical(), address.port())
            }
            address => address,
        }),
        Ok(_) => {
            Err(format!("{option} takes the address of one node, not the group {value}").into())
        }
        Err(_) => Err(format!(
            "{option} takes an IP address and a port as 10.0.0.1:7946, not {value}"
        )
        .into()),
    }
}

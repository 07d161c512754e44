//! What the command line asks for.

use std::time::Duration;

pub const USAGE: &str = "\
stress: threads put random claims to one tracker while others read it and a sweeper evicts

  --threads N    threads that make claims (default 4)
  --readers N    threads that look up and check (default 1)
  --seconds N    how long (default 5)
  --updates N    how many claims instead, however long they take
  --nodes N      how many nodes the claims speak of (default 10000)
  --hot          one node
  --churn        nodes die, are evicted and rejoin all the time
  --private      a reclaimer of its own, instead of the process's";

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub threads: usize,
    pub readers: usize,
    pub duration: Duration,
    /// Claims in all; `None`: as many as the time allows.
    pub updates: Option<u64>,
    pub nodes: usize,
    pub churn: bool,
    pub private: bool,
}

impl Options {
    /// `None` if only help is wanted.
    pub fn parse() -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;

        let mut options = Self {
            threads: 4,
            readers: 1,
            duration: Duration::from_secs(5),
            updates: None,
            nodes: 10_000,
            churn: false,
            private: false,
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("threads") => options.threads = arguments.value()?.parse()?,
                Long("readers") => options.readers = arguments.value()?.parse()?,
                Long("seconds") => {
                    options.duration = Duration::from_secs(arguments.value()?.parse()?);
                }
                Long("updates") => options.updates = Some(arguments.value()?.parse()?),
                Long("nodes") => options.nodes = arguments.value()?.parse()?,
                Long("hot") => options.nodes = 1,
                Long("churn") => options.churn = true,
                Long("private") => options.private = true,
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if options.duration.is_zero() || options.updates == Some(0) {
            return Err(
                "a run without a claim shows nothing: --seconds and --updates start at 1".into(),
            );
        }
        // Each node has an address of its own in 10.0.0.0/8.
        if options.threads == 0 || options.nodes == 0 || options.nodes > 1 << 24 {
            return Err("at least one thread, and 1 to 16777216 nodes".into());
        }
        Ok(Some(options))
    }
}

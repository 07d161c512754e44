//! A SWIM cluster on the tracker, live: real UDP on the loopback, several tasks of each node writing
//! to its tracker at once, and threads that look members up all the while.
//!
//! ```text
//! cargo run --release --example cluster             # a table on a terminal, lines elsewhere
//! cargo run --release --example cluster -- --plain
//! cargo run --release --example cluster -- --bind 10.0.0.1:7946 --join 10.0.0.2:7946
//! ```
//!
//! The exit status is 1 if any act came out otherwise than it should.
#![forbid(unsafe_code)]

mod acts;
mod cast;
mod node;
mod options;
mod plain;
mod rates;
mod readers;
mod screen;
mod single;
mod summary;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::acts::Stage;
use crate::cast::Cast;
use crate::options::{Command, Play};
use crate::readers::Readers;

/// Threads that look members up.
const READERS: u64 = 2;

fn main() -> ExitCode {
    let command = match options::read(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("cluster: {error}; --help lists the options");
            return ExitCode::from(2);
        }
    };
    let done = runtime()
        .map_err(Into::into)
        .and_then(|runtime| match command {
            Command::Help => {
                println!("{}", options::HELP);
                Ok(true)
            }
            Command::Single(node) => Ok(runtime.block_on(single::run(&node)).map(|()| true)?),
            Command::Play(play) => perform(&runtime, &play),
        });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cluster: {error}");
            ExitCode::from(2)
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    // Several at least, so that tasks of one node do run at once.
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .max(4);
    Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
}

/// Whether every act came out as it should.
fn perform(runtime: &Runtime, options: &Play) -> Result<bool, Box<dyn Error>> {
    let cast = Arc::new(runtime.block_on(Cast::new(options))?);
    let stage = Stage::new(cast.clone());
    let readers = Readers::start(&cast, READERS)?;
    let playing = runtime.spawn({
        let stage = stage.clone();
        async move { stage.play().await }
    });
    let live = !options.plain && io::stdout().is_terminal();
    if live {
        if !screen::show(&stage, &readers.lookups)? {
            playing.abort();
            println!("stopped before the end: nothing more is judged");
            return Ok(true);
        }
    } else {
        plain::show(&stage, &readers.lookups);
    }
    runtime.block_on(playing)?;
    let progress = stage.progress();
    print!("{}", summary::text(&cast, &progress, &readers.lookups));
    Ok(summary::all_well(&progress))
}

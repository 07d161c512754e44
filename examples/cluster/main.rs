//! A SWIM cluster on the tracker, live: real UDP on the loopback, several tasks of each node writing
//! to its tracker at once, and threads that look members up all the while.
//!
//! ```text
//! cargo run --release --example cluster             # a table on a terminal, lines elsewhere
//! cargo run --release --example cluster -- --plain
//! cargo run --release --example cluster -- --bind 10.0.0.1:7946 --join 10.0.0.2:7946
//! ```
//!
//! The exit status is 1 if any act came out otherwise than it should, 130 if it was interrupted before.
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
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
                print(&format!("{}\n", options::HELP))?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Single(node) => {
                runtime.block_on(single::run(&node))?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Play(play) => perform(&runtime, &play),
        });
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
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

/// Writes to the standard output.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether the reader of the output has had enough: no failure.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Plays all acts, or those until it is interrupted.
fn perform(runtime: &Runtime, options: &Play) -> Result<ExitCode, Box<dyn Error>> {
    let cast = Arc::new(runtime.block_on(Cast::new(options))?);
    let stage = Stage::new(cast.clone());
    let readers = Readers::start(&cast, READERS)?;
    let playing = runtime.spawn({
        let stage = stage.clone();
        async move { stage.play().await }
    });
    let interrupted = Arc::new(AtomicBool::new(false));
    runtime.spawn({
        let interrupted = interrupted.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.store(true, Ordering::Relaxed);
            }
        }
    });
    let live = !options.plain && io::stdout().is_terminal();
    let to_the_end = if live {
        screen::show(&stage, &readers.lookups)?
    } else {
        plain::show(&stage, &readers.lookups, &interrupted)?
    };
    if to_the_end {
        runtime.block_on(playing)?;
    } else {
        playing.abort();
    }
    let progress = stage.progress();
    print(&summary::text(&cast, &progress, &readers.lookups, live))?;
    Ok(if summary::any_failed(&progress) {
        ExitCode::FAILURE
    } else if to_the_end {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INTERRUPTED)
    })
}

/// The exit status of a program that was interrupted (128 and the number of SIGINT).
const INTERRUPTED: u8 = 130;

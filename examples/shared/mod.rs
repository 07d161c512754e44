//! What the small examples share on the command line: `--help`, and a quiet end once nobody reads the output.

use std::fmt;
use std::io::{self, Write};
use std::process;

/// `println!` of std panics once the reader of the output is gone (`| head -1`). This one ends the process with status 0.
macro_rules! println {
    ($($arguments:tt)*) => {
        crate::shared::print(format_args!("{}\n", format_args!($($arguments)*)))
    };
}

pub fn print(text: fmt::Arguments<'_>) {
    match io::stdout().write_fmt(text) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("standard output: {error}");
            process::exit(2)
        }
    }
}

/// Reads the arguments of an example that has no options. `--help` prints the head of its source and ends the process;
/// any other argument is an error.
#[allow(dead_code)] // Not called by the examples that have options.
pub fn only_help(source: &str) {
    let Some(argument) = std::env::args_os().nth(1) else {
        return;
    };
    if argument == "--help" || argument == "-h" {
        for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
            println!("{}", line.strip_prefix(' ').unwrap_or(line));
        }
        process::exit(0);
    }
    eprintln!(
        "unexpected argument {}; --help tells what this example shows",
        argument.display()
    );
    process::exit(2);
}

//! Shows that the models can fail: applies each weakening of the list to a scratch copy of the
//! project and checks that its model catches it. `loom-tests/weaken [--ci | NAME]`: all, every third,
//! or those whose name contains NAME.
//!
//! Each runs in a process of its own, since some end in a double free. A weakening that does not
//! apply (the code has changed) or does not compile is an error, not a catch.

mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use list::{LIST, Weakening};

/// A model that takes longer than this has not caught anything.
const PATIENCE: Duration = Duration::from_secs(240);

/// With `--ci`, of so many weakenings one is tried.
const CI_EVERY: usize = 3;

/// What of the project the scratch copy leaves out.
const LEFT_OUT: [&str; 5] = ["target", ".git", "data", "corpus", "seeds"];

fn main() -> ExitCode {
    let filter = std::env::args().nth(1);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = here.parent().expect("loom-tests lies in the project");
    let scratch = here.join("target/weakened");
    let _ = fs::remove_dir_all(&scratch);
    copy(project, &scratch);

    if let Err(why) = build(&scratch) {
        eprintln!("the unchanged copy does not build:\n{why}");
        return ExitCode::FAILURE;
    }
    // All of them, before any is tried: a text that has changed is found at once.
    for weakening in LIST {
        for (file, from, _) in places(weakening) {
            if let Err(why) = only_place(&scratch.join(file), from) {
                eprintln!("{}: {why}", weakening.name);
                return ExitCode::FAILURE;
            }
        }
    }
    let mut caught = 0;
    let mut total = 0;
    for (number, weakening) in LIST.iter().enumerate() {
        let wanted = match filter.as_deref() {
            None => true,
            Some("--ci") => number.is_multiple_of(CI_EVERY),
            Some(part) => weakening.name.contains(part),
        };
        if !wanted {
            continue;
        }
        total += 1;
        let begin = Instant::now();
        let outcome = try_one(&scratch, weakening);
        let took = begin.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                caught += 1;
                println!(
                    "{:<44} caught by {} ({took:.0} s)",
                    weakening.name, weakening.model
                );
            }
            Err(why) => println!("{:<44} NOT CAUGHT: {why}", weakening.name),
        }
    }
    println!("{total} weakenings, {caught} caught");
    if total > 0 && caught == total {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Applies one weakening, has its model look, and takes it back.
fn try_one(scratch: &Path, weakening: &Weakening) -> Result<(), String> {
    let mut originals = Vec::new();
    let mut applied = Ok(());
    for (file, from, to) in places(weakening) {
        applied = applied.and_then(|()| {
            originals.push(replace(&scratch.join(file), from, to)?);
            Ok(())
        });
    }
    let outcome = applied
        .and_then(|()| build(scratch))
        .and_then(|models| run(&models, weakening.model));
    // Backwards: of two changes to one file, the first saw it unchanged.
    for (path, original) in originals.into_iter().rev() {
        fs::write(path, original).map_err(|error| error.to_string())?;
    }
    outcome
}

/// What is replaced by what, and in which files.
fn places(
    weakening: &Weakening,
) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let Weakening { file, from, to, .. } = *weakening;
    [(file, from, to)].into_iter().chain(weakening.also)
}

/// A file in which `from` stands exactly once.
fn only_place(path: &Path, from: &str) -> Result<String, String> {
    let original = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let places = original.matches(from).count();
    if places != 1 {
        return Err(format!(
            "its text stands {places} times in {}",
            path.display()
        ));
    }
    Ok(original)
}

/// Replaces the one place where `from` stands in a file; returns the file as it was.
fn replace(path: &Path, from: &str, to: &str) -> Result<(PathBuf, String), String> {
    let original = only_place(path, from)?;
    fs::write(path, original.replace(from, to)).map_err(|error| error.to_string())?;
    Ok((path.to_owned(), original))
}

/// Builds the models of the copy and returns the binary.
fn build(scratch: &Path) -> Result<PathBuf, String> {
    let target = scratch.with_file_name("weakened-target");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--release", "--test", "models", "--no-run"])
        .current_dir(scratch.join("loom-tests"))
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("it does not build:\n{said}"));
    }
    let binary = said
        .rsplit_once("(")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(path, _)| scratch.join("loom-tests").join(path));
    binary.ok_or_else(|| format!("no binary named in:\n{said}"))
}

/// Runs one model; it is caught if that fails.
fn run(models: &Path, model: &str) -> Result<(), String> {
    let mut child = Command::new(models)
        .arg(model)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return if status.success() {
                Err(format!("{model} passes"))
            } else {
                Ok(())
            };
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{model} still runs"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("scratch directory");
    for entry in fs::read_dir(from).expect("project directory") {
        let entry = entry.expect("directory entry");
        let name = entry.file_name();
        let path = entry.path();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("copy");
        }
    }
}

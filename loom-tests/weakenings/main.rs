//! Shows that the models can fail: applies each weakening of the list to a scratch copy of the
//! project and checks that its models catch it. `loom-tests/weaken [--ci | --only] [NAME...]`: all, the part for CI,
//! or those whose name contains one of the NAMEs. With `--only`, no model runs in the unchanged copy first.
//!
//! Each runs in a process of its own, since some end in a double free. It is caught if the model is reported as failed, or
//! its process dies by a signal that broken memory or a second panic brings. A weakening that does not
//! apply (the code has changed) or does not compile is an error, not a catch; and before any is tried (`--ci` and `--only` leave this to
//! the models' own run) their models must pass in the unchanged copy.

#[path = "../sites/child.rs"]
mod child;
mod list;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use list::{FURTHER, LIST, PORTABLE, Weakening};

/// A model that takes more of a processor's time than this has not caught anything.
const PATIENCE: Duration = Duration::from_secs(240);

/// With `--ci`, of so many weakenings one is tried.
const CI_EVERY: usize = 4;

/// Signals that a process brings on itself: SIGILL, SIGABRT, SIGBUS, SIGSEGV.
const FATAL: [i32; 4] = [4, 6, 7, 11];

/// What of the project the scratch copy leaves out.
const LEFT_OUT: [&str; 5] = ["target", ".git", "data", "corpus", "seeds"];

/// Which scheme of reclamation the models stand on.
#[derive(Clone, Copy, PartialEq)]
enum Scheme {
    Asymmetric,
    Portable,
}

fn main() -> ExitCode {
    let (options, parts): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let has = |name: &str| options.iter().any(|option| option == name);
    let in_ci = has("--ci");
    let only_build = in_ci || has("--only");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = here.parent().expect("loom-tests lies in the project");
    let scratch = here.join("target/weakened");
    let _ = fs::remove_dir_all(&scratch);
    copy(project, &scratch);

    let all = LIST.iter().map(|weakening| (Scheme::Asymmetric, weakening));
    let all = all.chain(
        PORTABLE
            .iter()
            .map(|weakening| (Scheme::Portable, weakening)),
    );
    let all: Vec<_> = all.collect();
    // All of them, before any is tried: a text that has changed is found at once.
    for (_, weakening) in &all {
        for (file, from, _) in places(weakening) {
            if let Err(why) = only_place(&scratch.join(file), from) {
                eprintln!("{}: {why}", weakening.name);
                return ExitCode::FAILURE;
            }
        }
    }
    let wanted = all
        .into_iter()
        .enumerate()
        .filter(|(number, (_, weakening))| {
            if in_ci {
                number.is_multiple_of(CI_EVERY)
            } else {
                let is_named = |part: &String| weakening.name.contains(part.as_str());
                parts.is_empty() || parts.iter().any(is_named)
            }
        });
    let wanted: Vec<_> = wanted.map(|(_, weakening)| weakening).collect();
    for scheme in [Scheme::Asymmetric, Scheme::Portable] {
        let of_scheme = wanted.iter().filter(|(of, _)| *of == scheme);
        let models: BTreeSet<_> = of_scheme
            .flat_map(|(_, weakening)| models_of(weakening))
            .collect();
        if let Err(why) = pass_unchanged(&scratch, scheme, &models, only_build) {
            eprintln!("the unchanged copy: {why}");
            return ExitCode::FAILURE;
        }
    }

    let mut caught = 0;
    for (scheme, weakening) in &wanted {
        let begin = Instant::now();
        let outcome = try_one(&scratch, *scheme, weakening);
        let took = begin.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                caught += 1;
                let models: Vec<_> = models_of(weakening).collect();
                let models = models.join(", ");
                println!("{:<44} caught by {models} ({took:.0} s)", weakening.name);
            }
            Err(why) => println!("{:<44} NOT CAUGHT: {why}", weakening.name),
        }
    }
    let total = wanted.len();
    println!("{total} weakenings, {caught} caught");
    if total > 0 && caught == total {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Builds the unchanged copy, and has its models look at it.
fn pass_unchanged(
    scratch: &Path,
    scheme: Scheme,
    models: &BTreeSet<&str>,
    only_build: bool,
) -> Result<(), String> {
    if models.is_empty() {
        return Ok(());
    }
    let binary = build(scratch, scheme)?;
    for model in models.iter().filter(|_| !only_build) {
        match run(&binary, model)? {
            Ran::Passed => {}
            Ran::Failed => return Err(format!("{model} fails")),
            Ran::TooLong => return Err(format!("{model} takes longer than {PATIENCE:?}")),
        }
    }
    Ok(())
}

/// Applies one weakening, has its models look, and takes it back.
fn try_one(scratch: &Path, scheme: Scheme, weakening: &Weakening) -> Result<(), String> {
    let mut originals = Vec::new();
    let mut applied = Ok(());
    for (file, from, to) in places(weakening) {
        applied = applied.and_then(|()| {
            originals.push(replace(&scratch.join(file), from, to)?);
            Ok(())
        });
    }
    let outcome = applied
        .and_then(|()| build(scratch, scheme))
        .and_then(|models| models_of(weakening).try_for_each(|model| fails(&models, model)));
    // Backwards: of two changes to one file, the first saw it unchanged.
    for (path, original) in originals.into_iter().rev() {
        fs::write(path, original).map_err(|error| error.to_string())?;
    }
    outcome
}

/// The models that must catch it.
fn models_of(weakening: &Weakening) -> impl Iterator<Item = &'static str> {
    let further = FURTHER
        .iter()
        .filter(|further| further.weakening == weakening.name);
    [weakening.model]
        .into_iter()
        .chain(further.map(|further| further.model))
}

/// An error if a model does not fail.
fn fails(models: &Path, model: &str) -> Result<(), String> {
    match run(models, model)? {
        Ran::Failed => Ok(()),
        Ran::Passed => Err(format!("{model} passes")),
        Ran::TooLong => Err(format!("{model} still runs")),
    }
}

/// What is replaced by what, and in which files.
fn places(
    weakening: &Weakening,
) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let Weakening { file, from, to, .. } = *weakening;
    [(file, from, to)]
        .into_iter()
        .chain(weakening.also.iter().copied())
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
fn build(scratch: &Path, scheme: Scheme) -> Result<PathBuf, String> {
    let (config, target): (&[_], _) = match scheme {
        Scheme::Asymmetric => (&[], "weakened-target"),
        Scheme::Portable => (&["--config", ".cargo/portable.toml"], "weakened-portable"),
    };
    let output = Command::new(env!("CARGO"))
        .args(["test", "--release", "--test", "models", "--no-run"])
        .args(config)
        .current_dir(scratch.join("loom-tests"))
        .env("CARGO_TARGET_DIR", scratch.with_file_name(target))
        // One line changes at a time.
        .env("CARGO_INCREMENTAL", "1")
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

/// What came of running a model.
enum Ran {
    Passed,
    Failed,
    TooLong,
}

/// Runs one model.
fn run(models: &Path, model: &str) -> Result<Ran, String> {
    let mut command = Command::new(models);
    // The models' own bounds, whatever the caller looks at by hand.
    for (name, _) in std::env::vars_os() {
        if name == "MODEL_BOUNDS" || name.to_string_lossy().starts_with("LOOM_") {
            command.env_remove(name);
        }
    }
    let child = command
        .args(["--exact", model])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (Some(output), _) = child::wait(child, Some(PATIENCE)) else {
        return Ok(Ran::TooLong);
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let by_itself = output
        .status
        .signal()
        .is_some_and(|signal| FATAL.contains(&signal));
    if by_itself || said.contains(&format!("model {model} ... FAILED")) {
        Ok(Ran::Failed)
    } else if output.status.success() && said.contains(&format!("model {model} ... ok")) {
        Ok(Ran::Passed)
    } else {
        Err(format!("{model} was not run: {}\n{said}", output.status))
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

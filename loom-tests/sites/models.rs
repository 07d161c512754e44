//! The models as a binary: what each reaches, how long it takes, and what it says of a weakening.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::Weakening;
use super::child::wait;
use super::list::LIST;

/// A model that takes so many times the time of a processor that it takes by itself has caught nothing.
const PATIENCE: u32 = 6;

/// Signals that a failing model brings on itself: SIGILL, SIGABRT, SIGBUS, SIGSEGV.
const FATAL: [i32; 4] = [4, 6, 7, 11];

/// How many models run at once.
pub fn jobs() -> usize {
    let given = std::env::var("ORDERINGS_JOBS").ok();
    let given = given.map(|jobs| jobs.parse().expect("ORDERINGS_JOBS is a number"));
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// `ORDERINGS_LIMIT`: models that take more seconds of a processor than this are left out, for a first look. What such a look does not
/// catch must be tried again without it.
fn limit() -> Option<Duration> {
    let given = std::env::var("ORDERINGS_LIMIT").ok()?;
    Some(Duration::from_secs(
        given
            .parse()
            .expect("ORDERINGS_LIMIT is a number of seconds"),
    ))
}

pub enum Verdict {
    Passed,
    Failed,
    TooLong,
}

/// What is known of one model.
#[derive(Default)]
struct Known {
    reaches: BTreeSet<String>,
    took: Duration,
}

/// The models over one scheme of reclamation.
pub struct Models {
    binary: PathBuf,
    known: BTreeMap<String, Known>,
}

impl Models {
    /// Builds them, and runs each once.
    pub fn build(here: &Path, folder: &Path, portable: bool) -> Self {
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--release", "--test", "models", "--no-run"]);
        if portable {
            command.args([
                "--config",
                ".cargo/portable.toml",
                "--target-dir",
                "target/portable",
            ]);
        }
        let output = command.current_dir(here).env_remove("RUSTFLAGS").output();
        let output = output.expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "the models do not build:\n{said}");
        let named = said.lines().rfind(|line| line.contains("Executable"));
        let path = named.and_then(|line| line.split_once('(')?.1.split_once(')'));
        let path = path
            .unwrap_or_else(|| panic!("no binary named in:\n{said}"))
            .0;
        // A copy, so that a later build changes nothing.
        let binary = folder.join(if portable { "portable" } else { "asymmetric" });
        let _ = fs::remove_file(&binary);
        fs::copy(here.join(path), &binary).expect("the binary can be copied");
        let mut models = Self {
            binary,
            known: BTreeMap::new(),
        };
        models.look();
        models
    }

    fn look(&mut self) {
        let list = Command::new(&self.binary).arg("--list").output();
        let list = String::from_utf8_lossy(&list.expect("the models run").stdout).into_owned();
        let names = list.lines().filter(|name| {
            // The checker's own: they reach nothing of the library, and some must fail.
            !name.starts_with("litmus::") && !name.starts_with("epoch::")
        });
        let queue = Mutex::new(names);
        let known = Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            for _ in 0..jobs() {
                scope.spawn(|| {
                    loop {
                        let Some(name) = queue.lock().unwrap().next() else {
                            return;
                        };
                        let child = Command::new(&self.binary)
                            .args(["--exact", name, "--sites"])
                            .stdout(Stdio::piped())
                            .stderr(Stdio::null())
                            .spawn()
                            .expect("a model runs");
                        let (Some(output), took) = wait(child, limit()) else {
                            println!("{name} is left out");
                            continue;
                        };
                        assert!(output.status.success(), "{name} fails by itself");
                        let said = String::from_utf8_lossy(&output.stdout);
                        let reaches = said.lines().filter_map(|line| {
                            let site = line.strip_prefix("site ")?;
                            Some(site[site.rfind("/src/")? + 1..].to_owned())
                        });
                        let one = Known {
                            reaches: reaches.collect(),
                            took,
                        };
                        known.lock().unwrap().insert(name.to_owned(), one);
                    }
                });
            }
        });
        self.known = known.into_inner().unwrap();
    }

    /// The models that come to the weakening's place. First those that the list of weakenings names for the very text
    /// around it, then those that it names for its file; and the shortest of each first.
    pub fn that_reach(&self, one: &Weakening) -> Vec<&str> {
        let place = one.place();
        let of_file = || LIST.iter().filter(|listed| listed.file == one.file);
        let named: BTreeSet<&str> = of_file().map(|listed| listed.model).collect();
        let of_text = of_file().filter(|listed| one.stands_in(listed.from));
        let near: BTreeSet<&str> = of_text.map(|listed| listed.model).collect();
        let mut reaching: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| known.reaches.contains(&place))
            .collect();
        reaching.sort_by_key(|(name, known)| {
            let name = name.as_str();
            (!near.contains(name), !named.contains(name), known.took)
        });
        reaching
            .into_iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    pub fn run(&self, model: &str, one: &Weakening) -> Verdict {
        let child = Command::new(&self.binary)
            .args(["--exact", model])
            .env("WEAKEN", one.switch())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a model runs");
        let patience = self.known[model].took * PATIENCE + Duration::from_secs(20);
        let (Some(output), _) = wait(child, Some(patience)) else {
            return Verdict::TooLong;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() && said.contains(&format!("model {model} ... ok")) {
            Verdict::Passed
        } else if output
            .status
            .signal()
            .is_some_and(|signal| FATAL.contains(&signal))
            || said.contains(&format!("model {model} ... FAILED"))
        {
            Verdict::Failed
        } else {
            panic!("{model} was not run: {}\n{said}", output.status)
        }
    }
}

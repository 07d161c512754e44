//! Weakens every ordering and fence of the library, one at a time, and says which model notices.
//!
//! `loom-tests/orderings [--resume] [PART OF A SITE'S NAME...]`. It takes some 20 minutes of a processor, so it is run by
//! hand. A switch in the facade weakens a site, so nothing is rebuilt. For each weakening the models that reach the site
//! run until one fails: first those that the list of weakenings names for the text around it, then those that it names
//! for its file, and the shortest of each first. Each outcome goes to `target/orderings/results.txt`, and `--resume` goes
//! on behind what stands there. `ORDERINGS_JOBS` says how many models run at once.
//!
//! A weakening that no model notices must be in the list of `docs/verification.md`, with its reason; and the list may
//! hold no weakening that a model notices. Either is a failure.

mod child;
#[allow(
    dead_code,
    reason = "only which model belongs to which file counts here"
)]
#[path = "../weakenings/list.rs"]
mod list;
mod models;
mod sites;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use models::{Models, Verdict};
use sites::Weakening;

/// The heading of the list in `docs/verification.md`.
const LIST: &str = "## Orderings that no model pins";

fn main() -> ExitCode {
    let resume = std::env::args().any(|arg| arg == "--resume");
    let parts = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let parts: Vec<String> = parts.collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = here.parent().expect("loom-tests lies in the project");
    let folder = here.join("target/orderings");
    fs::create_dir_all(&folder).expect("a folder for the results");

    let all = sites::all(&project.join("src"));
    let listed = listed(project);
    let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let mut wrong = 0;
    for gone in listed.iter().filter(|one| !names.contains(one.as_str())) {
        println!("{gone}: LISTED, BUT NOT IN THE CODE");
        wrong += 1;
    }
    if std::env::args().any(|arg| arg == "--list") {
        for one in &all {
            println!("{} at {}", one.name, one.place());
        }
        return ExitCode::from(u8::from(wrong > 0));
    }

    let results = folder.join("results.txt");
    if !resume {
        let _ = fs::remove_file(&results);
    }
    let done = fs::read_to_string(&results).unwrap_or_default();
    let done: BTreeMap<&str, &str> = done
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let schemes = [
        Models::build(here, &folder, false),
        Models::build(here, &folder, true),
    ];
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&results);
    let log = Mutex::new(log.expect("the results can be written"));

    let wanted = all.iter().filter(|one| {
        let is_named = |part: &String| one.name.contains(part.as_str());
        parts.is_empty() || parts.iter().any(is_named)
    });
    let wanted: Vec<&Weakening> = wanted.collect();
    let queue = Mutex::new(wanted.iter());
    let counts = Mutex::new(BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..models::jobs() {
            scope.spawn(|| {
                loop {
                    let Some(one) = queue.lock().unwrap().next() else {
                        return;
                    };
                    let known = done.get(one.name.as_str()).map(|known| (*known).to_owned());
                    let outcome = known.unwrap_or_else(|| {
                        let outcome = try_one(&schemes, one);
                        writeln!(log.lock().unwrap(), "{}\t{outcome}", one.name)
                            .expect("the results can be written");
                        outcome
                    });
                    let caught = outcome.starts_with("caught");
                    let kind = match (caught, listed.contains(&one.name)) {
                        (true, false) => "caught",
                        (false, true) => "listed",
                        (true, true) => "listed, but caught",
                        (false, false) => "unknown",
                    };
                    println!(
                        "{}: {outcome}{}",
                        one.name,
                        if caught {
                            String::new()
                        } else {
                            format!(", {kind}")
                        }
                    );
                    *counts.lock().unwrap().entry(kind).or_default() += 1;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let count = |kind| counts.get(kind).copied().unwrap_or_default();
    let places: BTreeSet<String> = wanted.iter().map(|one| one.place()).collect();
    println!(
        "{} sites, {} weakenings: {} caught, {} listed, {} listed but caught, {} unknown",
        places.len(),
        wanted.len(),
        count("caught"),
        count("listed"),
        count("listed, but caught"),
        count("unknown"),
    );
    let good = wrong == 0 && count("unknown") == 0 && count("listed, but caught") == 0;
    ExitCode::from(u8::from(!good || wanted.is_empty()))
}

/// The weakenings that the page names below its heading, in backquotes at the beginning of a line's first cell.
fn listed(project: &Path) -> BTreeSet<String> {
    let page = fs::read_to_string(project.join("docs/verification.md")).expect("the page is there");
    let behind = page.split_once(LIST).expect("the page has its list").1;
    let section = behind.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split_once(" |").map(|(cell, _)| cell));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// Runs the models that reach the site until one of them fails.
fn try_one(schemes: &[Models], one: &Weakening) -> String {
    let mut passed = 0;
    for models in schemes {
        for model in models.that_reach(one) {
            match models.run(model, one) {
                Verdict::Failed => return format!("caught by {model}"),
                // A model that never ends has lost a wake-up or goes in circles; it is no proof, so it counts as passed.
                Verdict::Passed | Verdict::TooLong => passed += 1,
            }
        }
    }
    match passed {
        0 => "not reached by any model".to_owned(),
        passed => format!("passed by all {passed} models that reach it"),
    }
}

//! Runs the models, each in a thread of its own, and insists that all of them ran.
//!
//! `cargo test --release`: all. `cargo test --release -- NAME`: those whose names contain it; with `--exact`, the one
//! of that name. A run of all compares the litmus tests' executions with the table in `docs/verification.md`, and
//! `-- --write-table` writes that table. `-- --sites` prints for each model the atomic operations and fences of the
//! library that it reaches, for `loom-tests/orderings`. Other flags, such as those that `cargo test` passes to
//! the standard harness, are ignored.

#[cfg(not(incarnation_loom))]
fn main() {
    eprintln!("no model ran: build with --cfg incarnation_loom (run cargo inside loom-tests)");
    std::process::exit(1);
}

#[cfg(incarnation_loom)]
#[path = "models/table.rs"]
mod table;

#[cfg(incarnation_loom)]
fn main() {
    use incarnation_loom_tests::models::{self, EXPECTED};
    use std::sync::Mutex;

    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let flag = |name: &str| std::env::args().any(|arg| arg == name);
    let exact = flag("--exact");
    let sites = flag("--sites");
    let all = models::all();
    if all.len() != EXPECTED {
        eprintln!("there are {} models, expected {EXPECTED}", all.len());
        std::process::exit(1);
    }
    if flag("--list") {
        for model in all {
            println!("{}", model.name);
        }
        return;
    }
    let chosen: Vec<_> = all
        .into_iter()
        .filter(|model| {
            filter
                .as_ref()
                .is_none_or(|f| model.name == f || !exact && model.name.contains(f.as_str()))
        })
        .collect();
    let total = chosen.len();
    println!("running {total} models");
    if incarnation_loom_tests::bounds_by_hand().is_some() {
        println!("with the bounds of MODEL_BOUNDS, not their own");
    }
    if incarnation_loom_tests::caps().is_some() {
        println!("no deeper than MODEL_CAPS, for want of time");
    }
    if sites {
        incarnation::model::weakening::record();
    }
    let queue = Mutex::new(chosen.into_iter());
    let failed = Mutex::new(Vec::new());
    let rows = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(model) = next else { return };
                    let (name, must_fail) = (model.name, model.must_fail);
                    let expected = model.expected().cloned();
                    // A thread of its own: loom keeps its state in thread-locals, and a model that
                    // panics may leave them in any state.
                    let outcome = std::thread::spawn(move || model.check());
                    match (outcome.join(), must_fail) {
                        (Ok(outcome), false) => {
                            let [plain, shadowed] = outcome.executions;
                            println!(
                                "model {name} ... ok ({plain} + {shadowed} executions, {:.1} s)",
                                outcome.took.as_secs_f64(),
                            );
                            if let Some(expected) = expected {
                                rows.lock()
                                    .unwrap()
                                    .push(table::row(name, &expected, &outcome));
                            }
                        }
                        (Err(_), true) => println!("model {name} ... ok (it fails, as it must)"),
                        (Err(_), false) => {
                            println!("model {name} ... FAILED");
                            failed.lock().unwrap().push(name);
                        }
                        (Ok(_), true) => {
                            println!("model {name} ... FAILED: it passes, and must not");
                            failed.lock().unwrap().push(name);
                        }
                    }
                }
            });
        }
    });
    if sites {
        for site in incarnation::model::weakening::reached() {
            println!("site {site}");
        }
    }
    let mut failed = failed.into_inner().unwrap();
    let rows = rows.into_inner().unwrap();
    if flag("--write-table") {
        table::write(rows);
    } else if filter.is_none() && !sites && !table::is_current(rows) {
        println!(
            "the table of litmus tests in docs/verification.md is of another time: -- litmus --write-table"
        );
        failed.push("table");
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
        if failed.is_empty() { "ok" } else { "FAILED" },
        total.saturating_sub(failed.len()),
        failed.len(),
    );
    if !failed.is_empty() || total == 0 {
        std::process::exit(1);
    }
}

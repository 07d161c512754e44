//! Runs the models, each in a thread of its own, and insists that all of them ran.
//!
//! `cargo test --release`: all. `cargo test --release -- NAME`: those whose names contain it; with `--exact`, the one
//! of that name. Other flags, such as those that `cargo test` passes to the standard harness, are ignored.

#[cfg(not(incarnation_loom))]
fn main() {
    eprintln!("no model ran: build with --cfg incarnation_loom (run cargo inside loom-tests)");
    std::process::exit(1);
}

#[cfg(incarnation_loom)]
fn main() {
    use incarnation_loom_tests::models::{self, EXPECTED};
    use std::sync::Mutex;

    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let exact = std::env::args().any(|arg| arg == "--exact");
    let all = models::all();
    if all.len() != EXPECTED {
        eprintln!("there are {} models, expected {EXPECTED}", all.len());
        std::process::exit(1);
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
    let queue = Mutex::new(chosen.into_iter());
    let failed = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(model) = next else { return };
                    let name = model.name;
                    // A thread of its own: loom keeps its state in thread-locals, and a model that
                    // panics may leave them in any state.
                    let outcome = std::thread::spawn(move || model.check());
                    match outcome.join() {
                        Ok(outcome) => println!(
                            "model {name} ... ok ({} executions, {:.1} s)",
                            outcome.executions,
                            outcome.took.as_secs_f64(),
                        ),
                        Err(_) => {
                            println!("model {name} ... FAILED");
                            failed.lock().unwrap().push(name);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
        if failed.is_empty() { "ok" } else { "FAILED" },
        total - failed.len(),
        failed.len(),
    );
    if !failed.is_empty() || total == 0 {
        std::process::exit(1);
    }
}

//! A SWIM cluster on virtual time: a simultaneous start, a death, a storm of loss, a partition, freezes and restarts, and
//! the peace after it. A run depends on its seed and on the code, not on the machine.
//!
//! ```text
//! cargo run --release --example simulate -- --nodes 2000
//! cargo run --release --example simulate -- --nodes 256 --seeds 20 --svg docs/convergence.svg
//! cargo run --release --example simulate -- --nodes 32 --traffic docs/traffic.svg
//! ```
//!
//! With `--traffic` the run is another one: a blip, a lossy hour and a rolling restart without persistence.
//!
//! The exit status is 1 if a cluster did not heal, a node was accused before the first fault, or the same seed gave two
//! different runs (`--twice`).
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use incarnation_swim::sim::scenario::{Outcome, lifecycle};
use incarnation_swim::sim::traffic::{TrafficRun, traffic};
use lexopt::prelude::*;
use plotters::prelude::*;

const HELP: &str = "\
simulate [--nodes N] [--seed N] [--seeds N] [--twice] [--svg FILE] [--traffic FILE]

  --nodes N   how many nodes, at least 16 [256]
  --seed N    the first seed [1]
  --seeds N   how many runs, each with the next seed [1]
  --twice     run each cluster twice and compare
  --svg FILE  draw how the trackers come to agree in the first run
  --traffic FILE
              run a blip, a lossy hour and a rolling restart instead, and draw the datagrams per node and period";

struct Options {
    nodes: usize,
    seed: u64,
    seeds: u64,
    twice: bool,
    svg: Option<PathBuf>,
    traffic: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulate: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether the reader of the output is gone (`| head -1`), which is no failure.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        nodes: 256,
        seed: 1,
        seeds: 1,
        twice: false,
        svg: None,
        traffic: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("nodes") => options.nodes = parser.value()?.parse()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("seeds") => options.seeds = parser.value()?.parse()?,
            Long("twice") => options.twice = true,
            Long("svg") => options.svg = Some(parser.value()?.into()),
            Long("traffic") => options.traffic = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.nodes < 16 {
        return Err("at least 16 nodes".into());
    }
    if options.seeds == 0 {
        return Err("at least one seed: --seeds counts them".into());
    }
    Ok(Some(options))
}

fn run() -> Result<bool, Box<dyn Error>> {
    let Some(options) = options()? else {
        writeln!(io::stdout(), "{HELP}")?;
        return Ok(true);
    };
    if let Some(file) = &options.traffic {
        return show_traffic(file, options.nodes, options.seed);
    }
    let e = std::f64::consts::E;
    let nodes = options.nodes;
    writeln!(
        io::stdout(),
        "{nodes} nodes. In theory, in periods: detection {:.1} in lockstep, 2 where nobody keeps step; \
         dissemination about ln n = {:.1}",
        e / (e - 1.0),
        (nodes as f64).ln(),
    )?;
    let mut all_well = true;
    let (mut detections, mut disseminations) = (Vec::new(), Vec::new());
    for seed in options.seed..options.seed + options.seeds {
        let began = Instant::now();
        let outcome = lifecycle(nodes, seed);
        let same = !options.twice || lifecycle(nodes, seed) == outcome;
        let well = same
            && outcome.started.is_some()
            && outcome.healed.is_some()
            && outcome.death_known.is_some()
            && outcome.suspicions_in_peace == 0;
        all_well &= well;
        detections.extend(outcome.detection);
        disseminations.extend(outcome.dissemination);
        writeln!(io::stdout(), "{}", line(seed, &outcome, same, began))?;
        if let Some(file) = &options.svg
            && seed == options.seed
        {
            draw(file, nodes, &outcome)?;
        }
    }
    let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len().max(1) as f64;
    writeln!(
        io::stdout(),
        "mean detection {:.2}, mean dissemination {:.2} periods: {}",
        mean(&detections),
        mean(&disseminations),
        if all_well {
            "all as expected"
        } else {
            "NOT as expected"
        },
    )?;
    Ok(all_well)
}

fn line(seed: u64, outcome: &Outcome, same: bool, began: Instant) -> String {
    let periods = |periods: Option<u32>| periods.map_or("never".into(), |n| n.to_string());
    let time = |time: Option<f64>| time.map_or("never".into(), |t| format!("{t:.1}"));
    format!(
        "seed {seed}: all alive after {}, {} accused in peace; a death detected after {}, spread in {}, \
         known after {}; {} false deaths in the storm, healed after {}; {} refutations, {} datagrams, \
         run {:016x}{} ({:.1} s)",
        periods(outcome.started),
        outcome.suspicions_in_peace,
        time(outcome.detection),
        time(outcome.dissemination),
        periods(outcome.death_known),
        outcome.false_deaths,
        periods(outcome.healed),
        outcome.refutations,
        outcome.datagrams,
        outcome.digest,
        if same { "" } else { " AND ANOTHER" },
        began.elapsed().as_secs_f64(),
    )
}

/// Runs the scenario of traffic and draws it. Returns whether the cluster healed.
fn show_traffic(file: &Path, nodes: usize, seed: u64) -> Result<bool, Box<dyn Error>> {
    let run = traffic(nodes, seed);
    let ends = run.marks.iter().skip(1).map(|(period, _)| *period as usize);
    for ((begin, phase), end) in run.marks.iter().zip(ends.chain([run.mean.len()])) {
        let periods = *begin as usize..end;
        let mean = run.mean[periods.clone()].iter().sum::<f64>() / periods.len().max(1) as f64;
        let busiest = run.busiest[periods].iter().max().copied().unwrap_or(0);
        writeln!(
            io::stdout(),
            "{phase} from period {begin}: {mean:.1} datagrams a node and period, at most {busiest}"
        )?;
    }
    match run.healed {
        Some(periods) => writeln!(
            io::stdout(),
            "healed {periods} periods after the last restart"
        )?,
        None => writeln!(
            io::stdout(),
            "NOT healed 100 periods after the last restart"
        )?,
    }
    draw_traffic(file, nodes, &run)?;
    Ok(run.healed.is_some())
}

/// How many periods one point of the chart of traffic stands for.
const BUCKET: usize = 8;

/// Datagrams per node and period; each point is the highest of some periods, so that no peak is lost.
fn draw_traffic(file: &Path, nodes: usize, run: &TrafficRun) -> Result<(), Box<dyn Error>> {
    let highest = run.busiest.iter().max().copied().unwrap_or(0) as f64;
    let area = SVGBackend::new(file, (900, 380)).into_drawing_area();
    area.fill(&WHITE)?;
    let title =
        format!("{nodes} nodes: datagrams sent per period (blue: mean node, grey: busiest node)");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0..run.mean.len(), 0.0..highest * 1.3)?;
    chart
        .configure_mesh()
        .x_desc("protocol periods")
        .y_desc("datagrams")
        .y_label_formatter(&|datagrams| format!("{datagrams:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let busiest: Vec<_> = run.busiest.iter().map(|sent| *sent as f64).collect();
    for (sent, color) in [(&busiest, BLACK.mix(0.35)), (&run.mean, BLUE.mix(1.0))] {
        let buckets = sent.chunks(BUCKET).enumerate();
        let points = buckets
            .map(|(bucket, sent)| (bucket * BUCKET, sent.iter().copied().fold(0.0, f64::max)));
        chart.draw_series(LineSeries::new(points, color.stroke_width(1)))?;
    }
    for (number, (period, phase)) in run.marks.iter().enumerate() {
        let at = *period as usize;
        let height = highest * (1.24 - 0.07 * (number % 3) as f64);
        let mark = [(at, 0.0), (at, highest * 1.3)];
        chart.draw_series([PathElement::new(mark.to_vec(), RED.mix(0.4))])?;
        let font = ("sans-serif", 13).into_font().color(&RED);
        chart.draw_series([Text::new(*phase, (at + 12, height), font)])?;
    }
    area.present()?;
    Ok(())
}

/// The share of (observer, node) pairs that are right, over time.
fn draw(file: &Path, nodes: usize, outcome: &Outcome) -> Result<(), Box<dyn Error>> {
    let periods = outcome.agreement.len();
    let area = SVGBackend::new(file, (900, 380)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("{nodes} nodes: what part of all trackers' entries is right");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0..periods, 0.0..100.0)?;
    chart
        .configure_mesh()
        .x_desc("protocol periods")
        .y_label_formatter(&|part| format!("{part:.0} %"))
        .light_line_style(WHITE)
        .draw()?;
    let right = outcome.agreement.iter().enumerate();
    let points = right.map(|(period, part)| (period + 1, part * 100.0));
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
    for (height, (period, what)) in outcome.marks.iter().enumerate() {
        let (at, height) = (*period as usize, 6.0 + 7.0 * height as f64);
        let mark = [(at, 0.0), (at, 100.0)];
        chart.draw_series([PathElement::new(mark.to_vec(), RED.mix(0.5))])?;
        let label = Text::new(
            *what,
            (at + 1, height),
            ("sans-serif", 14).into_font().color(&RED),
        );
        chart.draw_series([label])?;
    }
    area.present()?;
    Ok(())
}

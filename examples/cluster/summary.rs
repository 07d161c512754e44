//! What the play came to, in lines.

use std::fmt::Write;

use crate::acts::{ACTS, Progress, Scene};
use crate::cast::Shared;
use crate::readers::Lookups;

/// One act.
pub fn scene(number: usize, scene: &Scene) -> String {
    let mark = if scene.ok { "ok  " } else { "FAIL" };
    let Scene {
        title,
        expected,
        seen,
        took,
        ..
    } = scene;
    format!(
        "{mark} {number}. {title:<18} {:>5.1} s  expected: {expected}\n{:36}seen: {seen}",
        took.as_secs_f64(),
        "",
    )
}

/// Whether every act came out as it should.
pub fn all_well(progress: &Progress) -> bool {
    progress.scenes.len() == ACTS && progress.scenes.iter().all(|scene| scene.ok)
}

/// Whether an act came out otherwise than it should.
pub fn any_failed(progress: &Progress) -> bool {
    progress.scenes.iter().any(|scene| !scene.ok)
}

/// The whole, so far; with the acts, if they were not printed as they ended.
pub fn text(cast: &Shared, progress: &Progress, lookups: &Lookups, acts: bool) -> String {
    let mut text = String::new();
    for (index, this) in progress.scenes.iter().enumerate().filter(|_| acts) {
        let _ = writeln!(text, "{}", scene(index + 1, this));
    }
    let mean = |times: &[f64]| match times.len() {
        0 => "none".to_owned(),
        count => format!("{:.1}", times.iter().sum::<f64>() / count as f64),
    };
    let list = |times: &[f64]| {
        let times: Vec<_> = times.iter().map(|time| format!("{time:.1}")).collect();
        times.join(", ")
    };
    let e = std::f64::consts::E;
    let nodes = cast.len();
    let _ = write!(
        text,
        "
{nodes} nodes, period {:?}, in periods:
  first detection of a death   {} ({})   SWIM, section 3: e/(e-1) = {:.1} rounds in lockstep; 2 where nobody keeps step
  dissemination of a suspicion {} ({})   SWIM, section 4.1: about ln {nodes} = {:.1}
claims put to the trackers     {} ({} accepted), {} datagrams, {} dropped
lookups meanwhile              {} ({} found), p50 {} ns, p99 {} ns, reading the clock included
",
        cast.period(),
        mean(&progress.detections),
        list(&progress.detections),
        e / (e - 1.0),
        mean(&progress.disseminations),
        list(&progress.disseminations),
        (nodes as f64).ln(),
        cast.total(|stats| stats.claims),
        cast.total(|stats| stats.accepted),
        cast.total(|stats| stats.received),
        cast.total(|stats| stats.all_dropped()),
        lookups.done(),
        lookups.found(),
        lookups.quantile(0.5),
        lookups.quantile(0.99),
    );
    let done = progress.scenes.len();
    let _ = if any_failed(progress) {
        writeln!(text, "\nNOT as expected")
    } else if all_well(progress) {
        writeln!(text, "\nevery act as expected")
    } else {
        writeln!(
            text,
            "\nstopped after {done} of {ACTS} acts, each as expected"
        )
    };
    text
}

//! The charts of docs/performance.md: for each workload a panel of bars, the fastest first.
//!
//! The scale is logarithmic, since the slowest are a thousand times slower than the fastest.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::measure::Figure;

/// A file, its title, and the workloads with their sizes.
type Chart = (&'static str, &'static str, &'static [(&'static str, usize)]);

const THREADS: usize = 2;
const CHARTS: [Chart; 3] = [
    (
        "peers-lookups.svg",
        "Lookups",
        &[
            ("lookup_hot", 10_000),
            ("lookup_zipf", 10_000),
            ("lookup_uniform", 10_000),
            ("lookup_miss", 10_000),
            ("lookup_uniform", 100_000),
            ("lookup_uniform", 1_000_000),
            ("lookup_dependent", 1_000_000),
            ("lookup_miss", 1_000_000),
        ],
    ),
    (
        "peers-claims.svg",
        "Claims",
        &[
            ("claim_duplicate_hot", 10_000),
            ("claim_duplicate_zipf", 10_000),
            ("claim_stale", 10_000),
            ("claim_accepted_hot", 10_000),
            ("claim_accepted_uniform", 10_000),
            ("packet_32", 1_000_000),
        ],
    ),
    (
        "peers-others.svg",
        "Mixes, churn and iteration",
        &[
            ("mix_95_5", 10_000),
            ("churn", 10_000),
            ("iterate", 10_000),
            ("iterate", 1_000_000),
        ],
    ),
];

const WIDTH: i32 = 900;
const BAR: i32 = 16;
const LABELS: i32 = 190;
const VALUES: i32 = 90;
const MARGIN: i32 = 12;
const HEADING: i32 = 26;
const OURS: RGBColor = RGBColor(0x1b, 0x6e, 0xc2);
const OTHERS: RGBColor = RGBColor(0xa8, 0xb0, 0xb8);
const INK: RGBColor = RGBColor(0x22, 0x26, 0x2a);

/// Writes all charts that there are figures for.
pub fn draw_all(figures: &[Figure], directory: &Path) -> Result<(), Box<dyn Error>> {
    for (file, title, workloads) in CHARTS {
        let panels: Vec<_> = workloads
            .iter()
            .map(|(workload, nodes)| panel(figures, workload, *nodes))
            .filter(|panel| !panel.is_empty())
            .collect();
        if !panels.is_empty() {
            draw(&directory.join(file), title, &panels)?;
        }
    }
    Ok(())
}

/// A workload's figures, the fastest first.
fn panel<'f>(figures: &'f [Figure], workload: &str, nodes: usize) -> Vec<&'f Figure> {
    let is_it = |figure: &&Figure| {
        (figure.workload.as_str(), figure.nodes, figure.threads) == (workload, nodes, THREADS)
    };
    let mut panel: Vec<_> = figures.iter().filter(is_it).collect();
    panel.sort_by(|a, b| a.median_ns.total_cmp(&b.median_ns));
    panel
}

fn style(size: i32, horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", size)
        .into_font()
        .color(&INK)
        .pos(Pos::new(horizontal, VPos::Center))
}

fn draw(path: &Path, title: &str, panels: &[Vec<&Figure>]) -> Result<(), Box<dyn Error>> {
    let bars: usize = panels.iter().map(Vec::len).sum();
    let height =
        MARGIN * 2 + HEADING + bars as i32 * BAR + panels.len() as i32 * (HEADING + MARGIN);
    let root = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let all = || panels.iter().flatten().map(|figure| figure.median_ns);
    let (least, most) = all().fold((f64::MAX, 0.0_f64), |(least, most), ns| {
        (least.min(ns), most.max(ns))
    });
    // So that the shortest bar can be seen.
    let least = least / 2.0;
    let room = f64::from(WIDTH - LABELS - VALUES - 2 * MARGIN);
    let length = |ns: f64| ((ns / least).ln() / (most / least).ln() * room) as i32;
    let mut y = MARGIN + HEADING / 2;
    let heading =
        format!("{title}: ns an operation and thread, {THREADS} threads (median; logarithmic)");
    root.draw(&Text::new(heading, (MARGIN, y), style(16, HPos::Left)))?;
    y += HEADING;
    for panel in panels {
        let name = format!("{}, {} nodes", panel[0].workload, panel[0].nodes);
        root.draw(&Text::new(name, (MARGIN, y), style(14, HPos::Left)))?;
        y += HEADING / 2;
        for figure in panel {
            let middle = y + BAR / 2;
            let begin = MARGIN + LABELS;
            let end = begin + length(figure.median_ns);
            let color = if figure.subject.starts_with("incarnation") {
                OURS
            } else {
                OTHERS
            };
            root.draw(&Text::new(
                figure.label(),
                (begin - 6, middle),
                style(12, HPos::Right),
            ))?;
            root.draw(&Rectangle::new(
                [(begin, y + 2), (end, y + BAR - 2)],
                color.filled(),
            ))?;
            root.draw(&Text::new(
                format!("{:.1}", figure.median_ns),
                (end + 6, middle),
                style(12, HPos::Left),
            ))?;
            y += BAR;
        }
        y += HEADING / 2 + MARGIN;
    }
    root.present()?;
    Ok(())
}

//! The play on a terminal: a row for each node, a column for each observer, and in the cells what the
//! observer's tracker says of the node.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use incarnation::Status;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Gauge, Paragraph, Row, Table};

use crate::acts::{ACTS, Progress, Stage};
use crate::cast::{Part, Seen};
use crate::rates::Rates;
use crate::readers::Lookups;

const FRAME: Duration = Duration::from_millis(50);

/// Shows it until it is over; false if the user had enough before (q, Esc, Ctrl-C).
pub fn show(stage: &Arc<Stage>, lookups: &Lookups) -> io::Result<bool> {
    let mut terminal = ratatui::try_init()?;
    let seen_to_the_end = run(&mut terminal, stage, lookups);
    ratatui::restore();
    seen_to_the_end
}

fn run(
    terminal: &mut ratatui::DefaultTerminal,
    stage: &Arc<Stage>,
    lookups: &Lookups,
) -> io::Result<bool> {
    let mut rates = Rates::default();
    loop {
        let progress = stage.progress();
        if progress.over {
            return Ok(true);
        }
        let line = rates.line(&stage.cast, lookups).to_owned();
        terminal.draw(|frame| draw(frame, stage, &progress, line))?;
        if event::poll(FRAME)?
            && let Event::Key(key) = event::read()?
        {
            let interrupted =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(false);
            }
        }
    }
}

fn draw(frame: &mut Frame<'_>, stage: &Stage, progress: &Progress, rates: String) {
    let nodes = stage.cast.len() as u16 + 1;
    let [head, gauge, table, legend, acts] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(nodes + 4),
        Constraint::Length(1),
        Constraint::Min(0),
    ])
    .areas(frame.area());
    let title = format!("act {}/{ACTS}: {}", progress.number, progress.title);
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(72)]).areas(head);
    frame.render_widget(Paragraph::new(title.bold()), left);
    frame.render_widget(Paragraph::new(rates).right_aligned(), right);
    let part = progress.began.elapsed().as_secs_f64() / progress.usually.as_secs_f64().max(0.001);
    frame.render_widget(
        Gauge::default()
            .ratio(part.min(1.0))
            .gauge_style(Color::Blue),
        gauge,
    );
    frame.render_widget(members(stage), table);
    frame.render_widget(Paragraph::new(key()), legend);
    let scenes = progress.scenes.iter().rev().map(|scene| {
        let mark = if scene.ok {
            "ok   ".green()
        } else {
            "FAIL ".red().bold()
        };
        Line::from(vec![
            mark,
            format!("{}: {}", scene.title, scene.seen).into(),
        ])
    });
    frame.render_widget(Paragraph::new(scenes.collect::<Vec<_>>()), acts);
}

/// The table of who sees whom as what.
fn members(stage: &Stage) -> Table<'static> {
    let cast = &stage.cast;
    let parts = cast.parts();
    let trackers = cast.trackers();
    let name = |player: usize| format!("n{player}");
    let header = ["", "does", "at"].map(String::from).into_iter();
    let header = Row::new(header.chain((0..parts.len()).map(name))).bold();
    let rows = parts.iter().enumerate().map(|(player, part)| {
        let (does, style) = doing(*part);
        let own = cast
            .incarnation(player)
            .map_or(String::new(), |own| own.to_string());
        let address = cast.address(player);
        let cells = (0..parts.len()).map(|observer| {
            match trackers.iter().find(|(index, _)| *index == observer) {
                Some(_) if observer == player => Cell::from("·".dark_gray()),
                Some((_, tracker)) => cell(tracker.get(&address)),
                None => Cell::from(""),
            }
        });
        let lead = [
            Cell::from(name(player).bold()),
            Cell::from(does).style(style),
            own.into(),
        ];
        Row::new(lead.into_iter().chain(cells))
    });
    let held = (0..parts.len()).map(|observer| {
        let tracker = trackers.iter().find(|(index, _)| *index == observer);
        tracker.map_or(String::new(), |(_, tracker)| tracker.len().to_string())
    });
    let held = ["all", "entries", ""]
        .map(String::from)
        .into_iter()
        .chain(held);
    let rows = rows.chain([Row::new(held).dim()]);
    let widths = [4, 8, 4]
        .into_iter()
        .chain(parts.iter().map(|_| 5))
        .map(Constraint::Length);
    Table::new(rows, widths)
        .header(header)
        .column_spacing(1)
        .block(
            Block::bordered()
                .title("what the observers' trackers say (columns) of the nodes (rows)"),
        )
}

fn doing(part: Part) -> (&'static str, Style) {
    match part {
        Part::Waiting => ("", Style::new()),
        Part::Runs => ("runs", Color::Green.into()),
        Part::Frozen => ("frozen", Color::Cyan.into()),
        Part::Killed => ("killed", Color::Red.into()),
        Part::Left => ("left", Color::DarkGray.into()),
    }
}

const fn shown(status: Status) -> (&'static str, Color) {
    match status {
        Status::Unconfirmed => ("u", Color::Magenta),
        Status::Alive => ("A", Color::Green),
        Status::Suspect => ("S", Color::Yellow),
        Status::Dead => ("D", Color::Red),
        Status::Left => ("L", Color::Gray),
    }
}

fn cell(seen: Seen) -> Cell<'static> {
    let Some(state) = seen else {
        return Cell::from("-".dark_gray());
    };
    let (letter, color) = shown(state.status);
    Cell::from(format!("{letter}{}", state.incarnation)).style(color)
}

fn key() -> Line<'static> {
    let mut spans = Vec::new();
    for status in Status::ALL {
        let (letter, color) = shown(status);
        spans.push(letter.fg(color).bold());
        spans.push(format!(" {status}   ").into());
    }
    spans.push("- unknown   with the incarnation   q quits".dark_gray());
    Line::from(spans)
}

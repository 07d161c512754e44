//! The play on a terminal: a row for each node, a column for each observer, and in the cells what the
//! observer's tracker says of the node. A cell shows its whole incarnation or none of it; what does not fit into the
//! window is reached with the arrow keys.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use incarnation::Status;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Gauge, Paragraph, Row, Table};

use crate::acts::{ACTS, Progress, Stage};
use crate::cast::{Part, Seen};
use crate::rates::Rates;
use crate::readers::Lookups;

const FRAME: Duration = Duration::from_millis(50);

/// The first node and the first observer that are shown.
#[derive(Clone, Copy, Default)]
struct Corner {
    row: usize,
    column: usize,
}

/// Columns of text for a node's name, what it does and its own incarnation, with a space behind each.
const LEAD: [u16; 3] = [4, 8, 5];

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
    let mut corner = Corner::default();
    loop {
        let progress = stage.progress();
        if progress.over {
            return Ok(true);
        }
        let line = rates.line(&stage.cast, lookups).to_owned();
        terminal.draw(|frame| draw(frame, stage, &progress, line, &mut corner))?;
        if event::poll(FRAME)?
            && let Event::Key(key) = event::read()?
        {
            let interrupted =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(false);
            }
            // `draw` keeps the corner within the table.
            match key.code {
                KeyCode::Down => corner.row += 1,
                KeyCode::Up => corner.row = corner.row.saturating_sub(1),
                KeyCode::PageDown => corner.row += 10,
                KeyCode::PageUp => corner.row = corner.row.saturating_sub(10),
                KeyCode::Right => corner.column += 1,
                KeyCode::Left => corner.column = corner.column.saturating_sub(1),
                KeyCode::Home => corner = Corner::default(),
                _ => {}
            }
        }
    }
}

fn draw(
    frame: &mut Frame<'_>,
    stage: &Stage,
    progress: &Progress,
    rates: String,
    corner: &mut Corner,
) {
    let nodes = stage.cast.len() as u16 + 1;
    let height = frame.area().height;
    // The table gives way to the rest: a title, a line of rates, a gauge, the key, and the last acts.
    let table_height = (nodes + 4).min(height.saturating_sub(7).max(5));
    let [title_line, rates_line, gauge, table, legend, acts] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(table_height),
        Constraint::Length(2),
        Constraint::Min(0),
    ])
    .areas(frame.area());
    let title = format!("act {}/{ACTS}: {}", progress.number, progress.title);
    frame.render_widget(Paragraph::new(title.bold()), title_line);
    frame.render_widget(Paragraph::new(rates.dim()), rates_line);
    let part = progress.began.elapsed().as_secs_f64() / progress.usually.as_secs_f64().max(0.001);
    frame.render_widget(
        Gauge::default()
            .ratio(part.min(1.0))
            .gauge_style(Color::Blue),
        gauge,
    );
    members(frame, stage, table, corner);
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

/// The table of what each observer sees, as much of it as fits.
fn members(frame: &mut Frame<'_>, stage: &Stage, area: Rect, corner: &mut Corner) {
    let cast = &stage.cast;
    let parts = cast.parts();
    let trackers = cast.trackers();
    let tracker = |observer: usize| {
        let found = trackers.iter().find(|(index, _)| *index == observer);
        found.map(|(_, tracker)| tracker)
    };
    let addresses: Vec<_> = (0..parts.len())
        .map(|player| cast.address(player))
        .collect();
    let text = |observer: usize, player: usize| match tracker(observer) {
        Some(_) if observer == player => ("·".to_owned(), Style::from(Color::DarkGray)),
        Some(tracker) => cell(tracker.get(&addresses[player])),
        None => (String::new(), Style::new()),
    };
    // Two lines of frame, one of names, one of sums.
    let rows = usize::from(area.height.saturating_sub(4));
    corner.row = corner.row.min(parts.len().saturating_sub(rows));
    let shown_rows = corner.row..(corner.row + rows).min(parts.len());
    // As wide as the widest cell of what is looked at, so that no number is ever cut.
    let widest = (0..parts.len())
        .flat_map(|observer| shown_rows.clone().map(move |player| (observer, player)))
        .map(|(observer, player)| text(observer, player).0.chars().count())
        .max()
        .unwrap_or(0)
        .max(3);
    let room = usize::from(
        area.width
            .saturating_sub(2 + LEAD.iter().map(|w| w + 1).sum::<u16>()),
    );
    let columns = room / (widest + 1);
    corner.column = corner.column.min(parts.len().saturating_sub(columns));
    let shown_columns = corner.column..(corner.column + columns).min(parts.len());
    let name = |player: usize| format!("n{player}");
    let header = ["", "does", "at"].map(String::from).into_iter();
    let header = Row::new(header.chain(shown_columns.clone().map(name))).bold();
    let body = shown_rows.clone().map(|player| {
        let (does, style) = doing(parts[player]);
        let own = cast
            .incarnation(player)
            .map_or(String::new(), |own| own.to_string());
        let cells = shown_columns.clone().map(|observer| {
            let (text, style) = text(observer, player);
            Cell::from(text).style(style)
        });
        let lead = [
            Cell::from(name(player).bold()),
            Cell::from(does).style(style),
            // Five digits fit; more are not cut but left out.
            Cell::from(if own.len() > usize::from(LEAD[2]) {
                "..".to_owned()
            } else {
                own
            }),
        ];
        Row::new(lead.into_iter().chain(cells))
    });
    let held = shown_columns.clone().map(|observer| {
        tracker(observer).map_or(String::new(), |tracker| tracker.len().to_string())
    });
    let held = ["all", "entries", ""]
        .map(String::from)
        .into_iter()
        .chain(held);
    let body: Vec<_> = body.chain([Row::new(held).dim()]).collect();
    let widths = LEAD
        .into_iter()
        .chain(shown_columns.clone().map(|_| widest as u16))
        .map(Constraint::Length);
    let cut = shown_rows.len() < parts.len() || shown_columns.len() < parts.len();
    let title = if cut {
        format!(
            "nodes {}-{} (rows) as observers {}-{} (columns) see them, of {}: arrows",
            shown_rows.start,
            shown_rows.end.saturating_sub(1),
            shown_columns.start,
            shown_columns.end.saturating_sub(1),
            parts.len(),
        )
    } else {
        "what the observers' trackers say (columns) of the nodes (rows)".to_owned()
    };
    let table = Table::new(body, widths)
        .header(header)
        .column_spacing(1)
        .block(Block::bordered().title(title));
    frame.render_widget(table, area);
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

fn cell(seen: Seen) -> (String, Style) {
    let Some(state) = seen else {
        return ("-".to_owned(), Color::DarkGray.into());
    };
    let (letter, color) = shown(state.status);
    (format!("{letter}{}", state.incarnation), color.into())
}

/// Two lines, neither longer than 80 columns.
fn key() -> Vec<Line<'static>> {
    let mut spans = Vec::new();
    for status in Status::ALL {
        let (letter, color) = shown(status);
        spans.push(letter.fg(color).bold());
        spans.push(format!(" {status}   ").into());
    }
    spans.push("- unknown".dark_gray());
    let keys = "a number is the incarnation; arrows move the table; q or Ctrl-C ends";
    vec![Line::from(spans), Line::from(keys.dark_gray())]
}

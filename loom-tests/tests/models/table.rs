//! The table of litmus tests in `docs/verification.md`.

use std::path::{Path, PathBuf};

use incarnation_loom_tests::{Expected, Outcome};

const BEGIN: &str = "<!-- litmus: written by loom-tests/tests/models.rs -->\n";
const END: &str = "<!-- end of litmus -->\n";
const HEAD: &str = "| program | must be seen | must not be seen | executions, plain + shadowed |\n|---|---|---|---|\n";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verification.md")
}

/// One litmus test as a row.
pub fn row(name: &str, expected: &Expected, outcome: &Outcome) -> String {
    let list = |outcomes: &[&str]| match outcomes {
        [] => "none".to_owned(),
        some => some.join(" "),
    };
    let [plain, shadowed] = outcome.executions;
    format!(
        "| {} (`{name}`) | {} | {} | {plain} + {shadowed} |\n",
        expected.program,
        list(expected.must),
        list(expected.must_not),
    )
}

fn table(mut rows: Vec<String>) -> String {
    rows.sort_unstable();
    format!("{BEGIN}{HEAD}{}{END}", rows.concat())
}

/// The page, cut before and behind its table.
fn around(page: &str) -> (&str, &str, &str) {
    let begin = page
        .find(BEGIN)
        .expect("the page has a place for the table");
    let end = page.find(END).expect("the table ends") + END.len();
    (&page[..begin], &page[begin..end], &page[end..])
}

/// Whether the page shows these rows.
pub fn is_current(rows: Vec<String>) -> bool {
    // The portable scheme has none.
    let page = std::fs::read_to_string(page()).expect("the page is there");
    rows.is_empty() || around(&page).1 == table(rows)
}

/// Writes these rows into the page.
pub fn write(rows: Vec<String>) {
    let text = std::fs::read_to_string(page()).expect("the page is there");
    let (before, _, behind) = around(&text);
    let text = format!("{before}{}{behind}", table(rows));
    std::fs::write(page(), text).expect("the page can be written");
}

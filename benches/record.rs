//! Where results go: `target/` for programs, docs/performance.md and the charts beside it for people.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Writes `target/NAME`.
pub fn json(name: &str, figures: &impl Serialize) -> io::Result<()> {
    let target = root().join("target");
    std::fs::create_dir_all(&target)?;
    std::fs::write(
        target.join(name),
        serde_json::to_string_pretty(figures)? + "\n",
    )
}

/// Reads what an earlier run wrote to `target/NAME`.
#[allow(dead_code, reason = "not every bench adds to an earlier run")]
pub fn read_json<T: serde::de::DeserializeOwned>(name: &str) -> io::Result<T> {
    let text = std::fs::read_to_string(root().join("target").join(name))?;
    Ok(serde_json::from_str(&text)?)
}

/// Replaces what stands in docs/performance.md between `<!-- NAME -->` and `<!-- /NAME -->`.
pub fn section(name: &str, content: &str) -> io::Result<()> {
    section_of("docs/performance.md", name, content)
}

/// The same in any page.
pub fn section_of(page: &str, name: &str, content: &str) -> io::Result<()> {
    let path = root().join(page);
    let text = std::fs::read_to_string(&path)?;
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let missing = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("no {begin} in {path:?}"),
        )
    };
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    let content = content.trim_end();
    std::fs::write(&path, format!("{before}{begin}\n{content}\n{end}{after}"))
}

/// The machine the figures come from, and how busy it was with other things: to be asked first.
pub fn conditions() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{model}, {cores} cores. When the measuring began, {load} threads of other programs wanted to run."
    )
}

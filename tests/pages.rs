//! The pages can be read in two ways, as files and as generated documentation, and their links work in both.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that a person reads: the paths of Markdown files at the top, in `docs` and in `python`.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/guide", "fuzz", "python"] {
        let Ok(entries) = fs::read_dir(root().join(folder)) else {
            continue;
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        pages.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages.sort();
    pages
}

/// The text of a page without its blocks of code.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let mut in_code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What links of a page point to: behind `](` and in `[label]: target` lines.
fn targets(text: &str) -> Vec<&str> {
    let inline = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let defined = definitions(text).map(|(_, target)| target);
    inline.map(|(target, _)| target).chain(defined).collect()
}

fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
        Some((label, target))
    })
}

#[test]
fn links_to_files_lead_to_files() {
    let pages = pages();
    assert!(pages.len() > 12, "{pages:?}");
    let mut checked = 0;
    for page in pages {
        let text = prose(&page);
        for target in targets(&text) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap();
            let path = page.parent().unwrap().join(file);
            assert!(path.exists(), "{}: {target} leads nowhere", page.display());
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked} links");
}

#[test]
fn links_of_chapters_work_in_the_generated_documentation_too() {
    let links = fs::read_to_string(root().join("src/guide_links.md")).unwrap();
    let generated: BTreeSet<_> = definitions(&links).map(|(label, _)| label).collect();
    let mut used = BTreeSet::new();
    for page in pages() {
        if page.parent() != Some(&root().join("docs/guide")) {
            continue;
        }
        let text = prose(&page);
        for (label, _) in definitions(&text) {
            let page = page.display();
            assert!(
                generated.contains(label),
                "{page}: src/guide_links.md lacks [{label}]"
            );
            assert!(
                text.contains(&format!("[{label}]")),
                "{page}: [{label}] is not used"
            );
            used.insert(label.to_owned());
        }
    }
    let unused: Vec<_> = generated
        .iter()
        .filter(|label| !used.contains(**label))
        .collect();
    assert!(unused.is_empty(), "no chapter uses {unused:?}");
}

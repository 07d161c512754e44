//! The page on verification names what exists: every model, test, fuzz target and weakening in its
//! table, and at least one check that runs for every promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../docs/verification.md");
/// The columns of the table, in order.
const COLUMNS: [&str; 5] = [
    "promise",
    "models",
    "tests",
    "fuzzing",
    "weakenings that are caught",
];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(root(path)).ok()
}

fn cells(row: &str) -> Vec<&str> {
    let inner = row.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(str::trim).collect()
}

/// The rows of the table, a list of cells each.
fn rows() -> Vec<Vec<&'static str>> {
    let table = PAGE.lines().skip_while(|line| cells(line) != COLUMNS);
    table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

/// What a cell names.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The quoted strings of a source that follow `before`, such as the names of models. A `<` ends with its `>(`.
fn quoted(source: &str, before: &str) -> BTreeSet<String> {
    let after = source.split(before).skip(1);
    let after = after.map(|rest| match before.ends_with('<') {
        true => rest.split_once(">(").map_or("", |(_, rest)| rest),
        false => rest,
    });
    let names = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    names.map(str::to_owned).collect()
}

fn models() -> BTreeSet<String> {
    let mut models = BTreeSet::new();
    for entry in fs::read_dir(root("loom-tests/src/models")).unwrap() {
        let source = fs::read_to_string(entry.unwrap().path()).unwrap();
        for before in ["Model::new(", "Model::litmus(", "model::<"] {
            models.extend(quoted(&source, before));
        }
    }
    models
}

fn weakenings() -> BTreeSet<String> {
    of_weakenings("name:")
}

/// The strings behind a field's name in the list of weakenings.
fn of_weakenings(field: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root("loom-tests/weakenings")).unwrap() {
        let source = fs::read_to_string(entry.unwrap().path()).unwrap();
        found.extend(quoted(&source, field));
    }
    found
}

/// Whether a test is there: `file.rs` or `file.rs::function` in `tests`, or a path from the root.
fn is_test(name: &str) -> bool {
    let (file, function) = match name.split_once("::") {
        Some((file, function)) => (file, Some(function)),
        None => (name, None),
    };
    let path = if file.contains('/') {
        file.to_owned()
    } else {
        format!("tests/{file}")
    };
    match function {
        Some(function) => {
            read(&path).is_some_and(|source| source.contains(&format!("fn {function}(")))
        }
        None if file.contains('/') => root(file).exists(),
        None => read(&path).is_some_and(|source| source.contains("#[test]")),
    }
}

fn is_among(all: &BTreeSet<String>, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(prefix) => all.iter().any(|one| one.starts_with(prefix)),
        None => all.contains(name),
    }
}

#[test]
fn every_name_on_the_verification_page_exists() {
    let (models, weakenings) = (models(), weakenings());
    let rows = rows();
    assert!(rows.len() > 8 && models.len() > 20 && weakenings.len() > 20);
    let mut missing = Vec::new();
    for row in &rows {
        assert_eq!(row.len(), COLUMNS.len(), "{row:?}");
        let mut check = |cell: &'static str, exists: &dyn Fn(&str) -> bool| {
            missing.extend(names(cell).filter(|name| !exists(name)));
        };
        check(row[1], &|name| is_among(&models, name));
        check(row[2], &is_test);
        check(row[3], &|name| {
            root(&format!("fuzz/fuzz_targets/{name}.rs")).exists()
        });
        check(row[4], &|name| weakenings.contains(name));
    }
    assert!(missing.is_empty(), "named, but not there: {missing:#?}");
}

#[test]
fn every_promise_has_a_check_that_runs() {
    for row in rows() {
        let checks = row[1..4].iter().flat_map(|cell| names(cell));
        assert!(checks.count() > 0, "{}", row[0]);
    }
    for number in 1..=8 {
        let promise = format!("{number}. ");
        assert!(
            rows().iter().any(|row| row[0].starts_with(&promise)),
            "{promise}"
        );
    }
}

#[test]
fn every_model_catches_a_weakening_or_is_listed_with_the_reason_why_it_stays() {
    let behind = PAGE.split_once("\n## Models that no weakening names\n");
    let section = behind.unwrap().1.split("\n## ").next().unwrap();
    let listed: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|row| row.split_once(" |"))
        .flat_map(|(cell, _)| names(cell))
        .collect();
    let is_listed = |model: &str| {
        listed.iter().any(|name| match name.strip_suffix('*') {
            Some(prefix) => model.starts_with(prefix),
            None => model == *name,
        })
    };
    let caught_by = of_weakenings("model:");
    let (models, mut silent) = (models(), models());
    let list = fs::read_to_string(root("loom-tests/src/models/mod.rs")).unwrap();
    let expected = format!("pub const EXPECTED: usize = {};", models.len());
    assert!(
        list.contains(&expected),
        "{} models are named",
        models.len()
    );
    silent.retain(|model| !caught_by.contains(model) && !is_listed(model));
    assert!(silent.is_empty(), "no weakening names {silent:#?}");
    for name in listed {
        assert!(is_among(&models, name), "listed, but no model: {name}");
        assert!(!caught_by.contains(name), "listed, but named: {name}");
    }
}

#[test]
fn every_model_and_every_weakening_stands_for_a_promise() {
    let rows = rows();
    let named = |column: usize, one: &str| {
        let mut names = rows.iter().flat_map(|row| names(row[column]));
        names.any(|name| match name.strip_suffix('*') {
            Some(prefix) => one.starts_with(prefix),
            None => one == name,
        })
    };
    let mut unnamed = models();
    unnamed.retain(|model| !named(1, model));
    assert!(unnamed.is_empty(), "models of no promise: {unnamed:#?}");
    let mut unnamed = weakenings();
    unnamed.retain(|weakening| !named(4, weakening));
    assert!(unnamed.is_empty(), "weakenings of no promise: {unnamed:#?}");
}

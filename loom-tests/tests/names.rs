//! What the sources say of models and weakenings is so: names that exist, texts that stand where the list
//! says, and for every ordering that names a model a weakening of that file which the model must catch.
#![cfg(incarnation_loom)]

#[allow(dead_code, reason = "what a text is replaced by is no concern here")]
#[path = "../weakenings/list.rs"]
mod list;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use incarnation_loom_tests::models;
use list::{FURTHER, LIST, PORTABLE, Weakening};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn models() -> BTreeSet<&'static str> {
    models::all().iter().map(|model| model.name).collect()
}

fn all() -> impl Iterator<Item = &'static Weakening> {
    LIST.iter().chain(PORTABLE)
}

/// Files and texts that a weakening changes.
fn places(weakening: &Weakening) -> impl Iterator<Item = (&'static str, &'static str)> {
    let also = weakening.also.iter().map(|(file, from, _)| (*file, *from));
    [(weakening.file, weakening.from)].into_iter().chain(also)
}

/// Every source below a folder, by its path from the project.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(project().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            found.extend(sources(&path));
        } else if path.ends_with(".rs") {
            found.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found
}

/// The models that the comments of a source say pin something, in backquotes behind `Pinned by`.
fn pinned_by(source: &str) -> BTreeSet<String> {
    // Comments run over several lines.
    let text: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("//"))
        .map(|line| line.trim_start_matches('/').trim())
        .collect();
    let text = text.join(" ");
    let mut names = BTreeSet::new();
    for sentence in text.split("inned by ").skip(1) {
        // `a::b` and `c::d`: quoted names until the first that is none.
        let mut rest = sentence;
        while let Some(quoted) = rest.strip_prefix('`')
            && let Some((name, behind)) = quoted.split_once('`')
        {
            names.insert(name.to_owned());
            rest = behind.trim_start_matches([',', ' ']);
            rest = rest.strip_prefix("and ").unwrap_or(rest);
        }
    }
    names
}

#[test]
fn every_weakening_applies_and_names_models() {
    let models = models();
    let mut names = BTreeSet::new();
    for weakening in all() {
        assert!(
            names.insert(weakening.name),
            "{} is there twice",
            weakening.name
        );
        let is_there = models.contains(weakening.model);
        assert!(is_there, "{}: no model {}", weakening.name, weakening.model);
        for (file, from) in places(weakening) {
            let source = fs::read_to_string(project().join(file)).unwrap();
            let found = source.matches(from).count();
            assert_eq!(found, 1, "{}: its text in {file}", weakening.name);
        }
    }
    for further in FURTHER {
        let is_there = names.contains(further.weakening) && models.contains(further.model);
        assert!(is_there, "{} or {}", further.weakening, further.model);
    }
}

#[test]
fn what_is_said_to_be_pinned_is_weakened_there_and_caught_by_that_model() {
    let models = models();
    let mut wrong = Vec::new();
    let mut said = 0;
    for (file, source) in sources("src") {
        for name in pinned_by(&source) {
            said += 1;
            let weakened = all().any(|weakening| {
                name == weakening.model && places(weakening).any(|place| place.0 == file)
            });
            if !models.contains(name.as_str()) {
                wrong.push(format!("{file}: no model {name}"));
            } else if !weakened {
                wrong.push(format!(
                    "{file}: nothing is weakened that {name} must catch"
                ));
            }
        }
    }
    assert!(said > 20, "only {said} names found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

//! The orderings and fences in the source, and what each can be weakened to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A call and the comments in it take so many lines.
const CALL: usize = 10;

/// One ordering or fence, and something weaker.
pub struct Weakening {
    /// Names it without line numbers: file, function, operation, and what becomes of it.
    pub name: String,
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// Which of the call's orderings it is.
    pub argument: usize,
    pub to: &'static str,
    /// The file's text.
    text: Arc<str>,
}

impl Weakening {
    /// The call.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// Whether the call begins on a line of that part of its file's text, or a few lines before: the part may hold its
    /// orderings only.
    pub fn stands_in(&self, part: &str) -> bool {
        let Some((before, _)) = self.text.split_once(part) else {
            return false;
        };
        let first = before.matches('\n').count() + 1;
        let last = first + part.matches('\n').count();
        (first..=last + CALL).contains(&(self.line + CALL))
    }

    /// As the facade's switch takes it.
    pub fn switch(&self) -> String {
        format!("{}:{}={}", self.place(), self.argument, self.to)
    }
}

/// Those of every file below `src`.
pub fn all(src: &Path) -> Vec<Weakening> {
    let mut files = Vec::new();
    collect(src, "src", &mut files);
    files.sort();
    let mut all = Vec::new();
    for (file, text) in files {
        of_file(&file, &text, &mut all);
    }
    all
}

fn collect(folder: &Path, name: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("an entry of the source").path();
        let name = format!(
            "{name}/{}",
            path.file_name().unwrap_or_default().to_string_lossy()
        );
        // The facade itself is no site.
        if name == "src/sync" {
            continue;
        }
        if path.is_dir() {
            collect(&path, &name, files);
        } else if name.ends_with(".rs") {
            files.push((name, fs::read_to_string(&path).expect("a source")));
        }
    }
}

/// The source with comments and tests blanked out, as characters.
fn code(text: &str) -> Vec<char> {
    let text = match text.find("mod tests {") {
        Some(tests) => &text[..tests],
        None => text,
    };
    let mut code = Vec::new();
    for line in text.split_inclusive('\n') {
        // No string of the library holds two slashes.
        let length = line.find("//").unwrap_or(line.len());
        code.extend(line[..length].chars());
        code.extend(
            line[length..]
                .chars()
                .map(|c| if c == '\n' { c } else { ' ' }),
        );
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn starts_with(code: &[char], at: usize, word: &str) -> bool {
    word.chars()
        .enumerate()
        .all(|(i, c)| code.get(at + i) == Some(&c))
}

/// The identifier that ends before `end`: where it begins, and its text.
fn word_before(code: &[char], end: usize) -> (usize, String) {
    let begin = (0..end)
        .rev()
        .find(|&i| !is_word(code[i]))
        .map_or(0, |i| i + 1);
    (begin, code[begin..end].iter().collect())
}

/// The bracket that opens the call around `at`.
fn opening(code: &[char], at: usize) -> Option<usize> {
    let mut depth = 0;
    (0..at).rev().find(|&i| match code[i] {
        ')' => {
            depth += 1;
            false
        }
        '(' if depth == 0 => true,
        '(' => {
            depth -= 1;
            false
        }
        _ => false,
    })
}

/// How many orderings the call has before `at`.
fn orderings_before(code: &[char], open: usize, at: usize) -> usize {
    let mut depth = 0;
    let mut found = 0;
    for i in open + 1..at {
        match code[i] {
            '(' => depth += 1,
            ')' => depth -= 1,
            'O' if depth == 0 && starts_with(code, i, "Ordering::") => found += 1,
            _ => {}
        }
    }
    found
}

/// The name of the function around `at`.
fn function(code: &[char], at: usize) -> String {
    let begin = (0..at).rev().find(|&i| {
        starts_with(code, i, "fn ") && (i == 0 || !is_word(code[i - 1])) && is_word(code[i + 3])
    });
    begin.map_or_else(String::new, |i| {
        code[i + 3..].iter().take_while(|c| is_word(**c)).collect()
    })
}

fn line_and_column(code: &[char], at: usize) -> (usize, usize) {
    let before = &code[..at];
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let begin = before.iter().rposition(|c| *c == '\n').map_or(0, |i| i + 1);
    (line, at - begin + 1)
}

fn of_file(file: &str, text: &str, all: &mut Vec<Weakening>) {
    let code = code(text);
    let text: Arc<str> = text.into();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut add = |at: usize, argument: usize, written: &str, weaker: &[&'static str]| {
        let (_, operation) = word_before(
            &code,
            at + code[at..].iter().take_while(|c| is_word(**c)).count(),
        );
        let (line, column) = line_and_column(&code, at);
        let function = function(&code, at);
        let number = {
            let key = format!("{function} {operation} {argument} {written}");
            let number = seen.entry(key).or_default();
            *number += 1;
            *number
        };
        let which = if argument == 1 { " on failure" } else { "" };
        let which_one = if number > 1 {
            format!(" #{number}")
        } else {
            String::new()
        };
        for to in weaker.iter().copied() {
            all.push(Weakening {
                name: format!(
                    "{file} {function}: {operation}{which_one}{which}, {written} to {to}"
                ),
                file: file.to_owned(),
                line,
                column,
                argument,
                to,
                text: text.clone(),
            });
        }
    };
    for at in 0..code.len() {
        if starts_with(&code, at, "Ordering::")
            && (at == 0 || !is_word(code[at - 1]) && code[at - 1] != ':')
        {
            let begin = at + "Ordering::".len();
            let written: String = code[begin..].iter().take_while(|c| is_word(**c)).collect();
            let Some(open) = opening(&code, at) else {
                continue;
            };
            let (call, operation) = word_before(&code, open);
            let weaker: &[&str] = match (operation.as_str(), written.as_str()) {
                ("fence", "SeqCst") => &["AcqRel", "None"],
                ("fence", _) => &["None"],
                (_, "Acquire" | "Release") => &["Relaxed"],
                (_, "AcqRel") => &["Acquire", "Release"],
                (_, "SeqCst") => &["AcqRel"],
                _ => continue,
            };
            add(call, orderings_before(&code, open, at), &written, weaker);
        }
        for (call, written, weaker) in [
            (".light()", "light", &["None"] as &[&'static str]),
            (".light_fence()", "light", &["None"]),
            (".heavy()", "heavy", &["Light", "None"]),
            (".heavy_fence()", "heavy", &["Light", "None"]),
        ] {
            // Functions of that name pass the call on, and its place with it.
            if starts_with(&code, at, call) && !function(&code, at).ends_with("_fence") {
                add(at + 1, 0, written, weaker);
            }
        }
    }
}

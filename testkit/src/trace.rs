//! Reader of recorded traces: one JSON case a line, each a configuration, operations with the
//! results the original tracker gave, and the state at the end. Never panics, whatever the bytes.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The statuses of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Unconfirmed.
    Unconfirmed,
    /// Our Alive.
    Ok,
    /// Suspect.
    Suspect,
    /// Dead.
    Dead,
}

impl From<Status> for incarnation::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Unconfirmed => Self::Unconfirmed,
            Status::Ok => Self::Alive,
            Status::Suspect => Self::Suspect,
            Status::Dead => Self::Dead,
        }
    }
}

/// The original's verdict just before a claim is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Freshness {
    /// Out of range.
    Invalid,
    /// Too far above the known incarnation.
    Suspicious,
    /// A lower incarnation.
    Stale,
    /// An equal incarnation and no higher status.
    Duplicate,
    /// A suspicion of an unconfirmed node.
    Refused,
    /// Anything else.
    Fresh,
}

/// A node's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Its status.
    pub status: Status,
    /// Its incarnation.
    pub incarnation: u64,
    /// When it was last changed.
    pub updated_ms: u64,
}

/// A row of a list of all nodes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Row(pub String, pub Status, pub u64, pub u64);

/// The limits a case was recorded with.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What an eviction acts above.
    pub max_nodes: usize,
    /// How far below it goes.
    pub eviction_headroom: usize,
    /// How long dead nodes stay.
    pub dead_retention_ms: u64,
    /// The highest incarnation.
    pub max_incarnation: u64,
    /// The longest jump.
    pub max_jump: u64,
    /// Where the own incarnation starts.
    pub self_incarnation: u64,
    /// Affects nothing in the traces.
    pub zombie_window_ms: u64,
    /// Affects nothing in the traces.
    pub min_rejoin_bump: u64,
}

/// One operation with its recorded results.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of the format")]
pub enum Op {
    Update {
        node: String,
        status: Status,
        incarnation: u64,
        at_ms: u64,
        validate: bool,
        freshness: Freshness,
        result: bool,
        after: Option<State>,
    },
    UpdateInvalid {
        node: String,
        status: Status,
        incarnation: String,
        at_ms: u64,
        validate: bool,
        freshness: Freshness,
        result: bool,
        after: Option<State>,
    },
    CheckFreshness {
        node: String,
        status: Status,
        incarnation: u64,
        validate: bool,
        result: Freshness,
    },
    CheckFreshnessInvalid {
        node: String,
        status: Status,
        incarnation: String,
        validate: bool,
        result: Freshness,
    },
    AddUnconfirmed {
        node: String,
        at_ms: u64,
        result: bool,
        after: Option<State>,
    },
    Confirm {
        node: String,
        incarnation: u64,
        at_ms: u64,
        result: bool,
        after: Option<State>,
    },
    Remove {
        node: String,
        result: bool,
        after: Option<State>,
    },
    Get {
        node: String,
        result: Option<State>,
    },
    IsConfirmed {
        node: String,
        result: bool,
    },
    CanSuspect {
        node: String,
        result: bool,
    },
    NodesByState {
        status: Status,
        result: Vec<String>,
    },
    AllNodes {
        result: Vec<Row>,
    },
    CleanupDead {
        now_ms: u64,
        result: DeadRemoved,
    },
    EvictIfNeeded {
        #[serde(default)]
        now_ms: Option<u64>,
        result: Evicted,
    },
    Cleanup {
        now_ms: u64,
        result: CleanedUp,
    },
    SelfIncrement {
        result: u64,
    },
    SelfGet {
        result: u64,
    },
}

/// What removing dead nodes did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of the format")]
pub struct DeadRemoved {
    pub count: usize,
    pub removed: Vec<String>,
}

/// What an eviction did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of the format")]
pub struct Evicted {
    pub count: usize,
    pub evicted: Vec<String>,
}

/// What both in a row did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of the format")]
pub struct CleanedUp {
    pub dead_removed: usize,
    pub evicted: usize,
    pub total_nodes: usize,
    pub dead_removed_nodes: Vec<String>,
    pub evicted_nodes: Vec<String>,
}

/// What a case ends with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Final {
    /// All nodes.
    pub nodes: Vec<Row>,
    /// The own incarnation.
    pub self_incarnation: u64,
}

/// One recorded case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The line of its file.
    #[serde(skip)]
    pub line: usize,
    /// Its name.
    pub case: String,
    /// Its limits.
    pub config: Config,
    /// What kind of case it is.
    pub tags: Vec<String>,
    /// What was done, in order.
    pub ops: Vec<Op>,
    /// What was left.
    #[serde(rename = "final")]
    pub last: Final,
}

/// Why a trace could not be read.
#[derive(Debug)]
pub enum TraceError {
    /// The file could not be read at all.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A line is no case.
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        why: serde_json::Error,
    },
    /// The file holds no case.
    Empty {
        /// The file.
        file: PathBuf,
    },
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, why } => write!(f, "{}: {why}", file.display()),
            Self::Malformed { file, line, why } => {
                write!(f, "{}: line {line}: {why}", file.display())
            }
            Self::Empty { file } => write!(f, "{}: holds no case", file.display()),
        }
    }
}

impl std::error::Error for TraceError {}

/// Reads all cases of a file.
///
/// # Errors
///
/// A [`TraceError`] that names the file and the line.
pub fn read(file: &Path) -> Result<Vec<Case>, TraceError> {
    let bytes = std::fs::read(file).map_err(|why| TraceError::Unreadable {
        file: file.to_owned(),
        why,
    })?;
    parse(&bytes, file)
}

/// Reads all cases of some bytes, which are called `file` in errors.
///
/// # Errors
///
/// A [`TraceError`] that names the line.
pub fn parse(bytes: &[u8], file: &Path) -> Result<Vec<Case>, TraceError> {
    let mut cases = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let case = serde_json::from_slice(line).map_err(|why| TraceError::Malformed {
            file: file.to_owned(),
            line: number + 1,
            why,
        })?;
        cases.push(Case {
            line: number + 1,
            ..case
        });
    }
    if cases.is_empty() {
        return Err(TraceError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(cases)
}

//! A switch that weakens one ordering or fence of the library, without a rebuild.
//!
//! Every atomic operation and fence of the facade asks here which ordering to use. A *site* is one ordering in the
//! source: the place of the call and the number of the argument. `loom-tests/orderings` sets `WEAKEN` to
//! `FILE:LINE:COLUMN:ARGUMENT=ORDERING` for one run of a model; without it nothing changes.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};

use loom::sync::atomic::Ordering;

/// What takes the place of an ordering or a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replacement {
    Order(Ordering),
    /// No fence.
    None,
    /// A light fence instead of a heavy one.
    Light,
}

/// What a heavy fence is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heavy {
    AsWritten,
    Light,
    None,
}

#[derive(Debug)]
struct Site {
    file: String,
    line: u32,
    column: u32,
    argument: usize,
    replacement: Replacement,
}

/// The site to be weakened in this process, if any.
fn chosen() -> Option<&'static Site> {
    static SITE: OnceLock<Option<Site>> = OnceLock::new();
    SITE.get_or_init(|| {
        let given = std::env::var("WEAKEN").ok()?;
        let site = parse(&given);
        assert!(
            site.is_some(),
            "WEAKEN={given} is no FILE:LINE:COLUMN:ARGUMENT=ORDERING"
        );
        site
    })
    .as_ref()
}

fn parse(given: &str) -> Option<Site> {
    let (place, to) = given.split_once('=')?;
    let mut parts = place.split(':');
    let site = Site {
        file: format!("/{}", parts.next()?),
        line: parts.next()?.parse().ok()?,
        column: parts.next()?.parse().ok()?,
        argument: parts.next()?.parse().ok()?,
        replacement: match to {
            "Relaxed" => Replacement::Order(Ordering::Relaxed),
            "Acquire" => Replacement::Order(Ordering::Acquire),
            "Release" => Replacement::Order(Ordering::Release),
            "AcqRel" => Replacement::Order(Ordering::AcqRel),
            "None" => Replacement::None,
            "Light" => Replacement::Light,
            _ => return None,
        },
    };
    parts.next().is_none().then_some(site)
}

static RECORDING: AtomicBool = AtomicBool::new(false);
static REACHED: Mutex<BTreeSet<(&'static str, u32, u32)>> = Mutex::new(BTreeSet::new());

/// Begins to note the places that models reach.
pub fn record() {
    RECORDING.store(true, std::sync::atomic::Ordering::Relaxed);
}

/// The places reached since [`record`], as `FILE:LINE:COLUMN`.
pub fn reached() -> Vec<String> {
    let reached = REACHED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = |(file, line, column): &(&str, u32, u32)| format!("{file}:{line}:{column}");
    reached.iter().map(place).collect()
}

fn replacement(argument: usize, place: &'static Location<'static>) -> Option<Replacement> {
    if RECORDING.load(std::sync::atomic::Ordering::Relaxed) {
        let place = (place.file(), place.line(), place.column());
        REACHED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(place);
    }
    let site = chosen()?;
    let is_it = site.argument == argument
        && site.line == place.line()
        && site.column == place.column()
        && place.file().ends_with(&site.file);
    is_it.then_some(site.replacement)
}

/// The ordering to use for an operation's argument.
#[track_caller]
pub(super) fn order(written: Ordering, argument: usize) -> Ordering {
    match replacement(argument, Location::caller()) {
        Some(Replacement::Order(weaker)) => weaker,
        _ => written,
    }
}

/// The ordering of a fence; `None` for no fence.
#[track_caller]
pub(super) fn fence(written: Ordering) -> Option<Ordering> {
    match replacement(0, Location::caller()) {
        Some(Replacement::Order(weaker)) => Some(weaker),
        Some(_) => None,
        None => Some(written),
    }
}

/// Whether a light fence is to be there.
#[track_caller]
pub(super) fn light() -> bool {
    replacement(0, Location::caller()).is_none()
}

#[track_caller]
pub(super) fn heavy() -> Heavy {
    match replacement(0, Location::caller()) {
        Some(Replacement::Light) => Heavy::Light,
        Some(_) => Heavy::None,
        None => Heavy::AsWritten,
    }
}

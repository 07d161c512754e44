//! The workloads by name: what they are called, what they ask of a subject, in which order they run.

use crate::subjects::{Task, Verb};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    LookupHot,
    LookupZipf,
    LookupUniform,
    LookupDependent,
    LookupMiss,
    LookupCold,
    ClaimDuplicateHot,
    ClaimDuplicateZipf,
    ClaimStale,
    Packet32,
    Iterate,
    Mix955,
    ClaimAcceptedHot,
    ClaimAcceptedUniform,
    Churn,
}

use Workload::*;

impl Workload {
    /// In the order they run in: what leaves the table as it was comes first.
    pub const ALL: [Self; 15] = [
        LookupHot,
        LookupZipf,
        LookupUniform,
        LookupDependent,
        LookupMiss,
        LookupCold,
        ClaimDuplicateHot,
        ClaimDuplicateZipf,
        ClaimStale,
        Iterate,
        Packet32,
        Mix955,
        ClaimAcceptedHot,
        ClaimAcceptedUniform,
        Churn,
    ];
    /// Those of a table too large for the caches.
    pub const LARGE: [Self; 6] = [
        LookupUniform,
        LookupDependent,
        LookupMiss,
        Iterate,
        Packet32,
        Churn,
    ];
    /// Those of a table that fits the last cache and no other.
    pub const MIDDLE: [Self; 2] = [LookupUniform, LookupDependent];
    /// Those of a small table.
    pub const SMALL: [Self; 1] = [Churn];
    /// Those that are measured once more with huge pages for the peers, in a large table.
    pub const HUGE: [Self; 2] = [LookupUniform, LookupDependent];

    pub fn id(self) -> &'static str {
        match self {
            LookupHot => "lookup_hot",
            LookupZipf => "lookup_zipf",
            LookupUniform => "lookup_uniform",
            LookupDependent => "lookup_dependent",
            LookupMiss => "lookup_miss",
            LookupCold => "lookup_cold",
            ClaimDuplicateHot => "claim_duplicate_hot",
            ClaimDuplicateZipf => "claim_duplicate_zipf",
            ClaimStale => "claim_stale",
            ClaimAcceptedHot => "claim_accepted_hot",
            ClaimAcceptedUniform => "claim_accepted_uniform",
            Mix955 => "mix_95_5",
            Packet32 => "packet_32",
            Churn => "churn",
            Iterate => "iterate",
        }
    }

    pub fn task(self, threads: usize, nodes: usize) -> Task {
        let verb = match self {
            LookupHot | LookupZipf | LookupUniform | LookupDependent | LookupMiss | LookupCold => {
                Verb::Lookup
            }
            ClaimDuplicateHot | ClaimDuplicateZipf | ClaimStale => Verb::Claim,
            ClaimAcceptedHot | ClaimAcceptedUniform => Verb::Change,
            Mix955 => Verb::Mix,
            Packet32 => Verb::Packet,
            Churn => Verb::Churn,
            Iterate => Verb::Iterate,
        };
        Task {
            verb,
            one_node: matches!(self, LookupHot | ClaimDuplicateHot | ClaimAcceptedHot),
            threads,
            nodes,
        }
    }

    /// Whether accepted claims need incarnations that rise.
    pub fn changes(self) -> bool {
        matches!(
            self,
            ClaimAcceptedHot | ClaimAcceptedUniform | Mix955 | Packet32 | Churn
        )
    }

    /// Whether the tracker's sweeper runs meanwhile.
    pub fn swept(self) -> bool {
        matches!(self, Mix955 | Churn)
    }

    /// Whether the caches are emptied before each operation.
    pub fn cold(self) -> bool {
        self == LookupCold
    }

    /// Whether it looks nodes up in a table that the last cache holds: such a table is to be in the caches when the clock
    /// starts. What a lookup costs otherwise is measured by [`LookupCold`].
    pub fn fits_caches(self, nodes: u64) -> bool {
        let is_of_many = matches!(
            self,
            LookupZipf | LookupUniform | LookupDependent | LookupMiss
        );
        is_of_many && nodes <= 100_000
    }

    /// Whether batches of lookups can do it: not where each waits for the one before.
    pub fn batched(self) -> bool {
        !matches!(self, LookupDependent | LookupCold)
    }
}

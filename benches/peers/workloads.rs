//! The workloads by name: what they are called, what they ask of a subject, in which order they run.

use crate::subjects::{Task, Verb};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    LookupHot,
    LookupZipf,
    LookupUniform,
    LookupMiss,
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
    pub const ALL: [Self; 13] = [
        LookupHot,
        LookupZipf,
        LookupUniform,
        LookupMiss,
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
    pub const LARGE: [Self; 3] = [LookupUniform, Iterate, Packet32];

    pub fn id(self) -> &'static str {
        match self {
            LookupHot => "lookup_hot",
            LookupZipf => "lookup_zipf",
            LookupUniform => "lookup_uniform",
            LookupMiss => "lookup_miss",
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
            LookupHot | LookupZipf | LookupUniform | LookupMiss => Verb::Lookup,
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
}

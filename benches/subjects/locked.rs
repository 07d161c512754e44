//! The mirror people write today: one map behind one reader-writer lock.
//!
//! A claim looks under the read lock first, since most are duplicates, and a packet takes each lock
//! at most once.

use std::net::SocketAddr;

use incarnation::Claim;

use super::{Record, Session, State, Subject, beats, digest, hasher};

macro_rules! locked {
    ($name:ident, $id:literal, $map:ty, $lock:ty, |$table:ident| ($read:expr, $write:expr)) => {
        pub struct $name($lock);

        impl Subject for $name {
            const ID: &'static str = $id;
            type Session<'s> = &'s Self;

            fn with_capacity(nodes: usize) -> Self {
                Self(<$lock>::new(<$map>::with_capacity_and_hasher(
                    nodes,
                    hasher(),
                )))
            }

            #[inline(always)]
            fn session(&self) -> &Self {
                self
            }

            fn expire(&self, now: u64) {
                let $table = &self.0;
                $write.retain(|_, record| !record.is_over(now));
            }
        }

        impl $name {
            #[inline(always)]
            fn write_claim(
                map: &mut $map,
                node: &SocketAddr,
                claim: Claim,
                last_update: u64,
            ) -> Result<(), u64> {
                match map.get_mut(node) {
                    Some(known) => *known = beats(claim, last_update, Some(known.packed))?,
                    None => {
                        let _ = map.insert(*node, beats(claim, last_update, None)?);
                    }
                }
                Ok(())
            }
        }

        impl Session for &$name {
            #[inline(always)]
            fn lookup(&self, node: &SocketAddr) -> Option<State> {
                let $table = &self.0;
                $read.get(node).map(|record| record.state())
            }

            #[inline(always)]
            fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
                let $table = &self.0;
                let known = $read.get(node).map(|record| record.packed);
                beats(claim, last_update, known)?;
                $name::write_claim(&mut $write, node, claim, last_update)
            }

            #[inline(always)]
            fn packet(&self, claims: &[(SocketAddr, Claim)], last_update: u64) -> usize {
                let $table = &self.0;
                let mut news = 0_u64;
                {
                    let map = $read;
                    for (place, (node, claim)) in claims.iter().enumerate() {
                        let known = map.get(node).map(|record| record.packed);
                        news |= u64::from(beats(*claim, last_update, known).is_ok()) << place;
                    }
                }
                let mut accepted = 0;
                if news != 0 {
                    let mut map = $write;
                    while news != 0 {
                        let (node, claim) = &claims[news.trailing_zeros() as usize];
                        news &= news - 1;
                        let outcome = $name::write_claim(&mut map, node, *claim, last_update);
                        accepted += usize::from(outcome.is_ok());
                    }
                }
                accepted
            }

            #[inline(always)]
            fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
                let $table = &self.0;
                $write.remove(node).is_some()
            }

            fn iterate(&self) -> u64 {
                let $table = &self.0;
                $read.iter().fold(0, |sum: u64, (node, record)| {
                    sum.wrapping_add(digest(node, record.state()))
                })
            }
        }
    };
}

type Hashbrown = hashbrown::HashMap<SocketAddr, Record, ahash::RandomState>;
type Std = std::collections::HashMap<SocketAddr, Record, ahash::RandomState>;

locked!(
    LockedHashbrown,
    "rwlock-hashbrown",
    Hashbrown,
    parking_lot::RwLock<Hashbrown>,
    |lock| (lock.read(), lock.write())
);
locked!(
    LockedStd,
    "rwlock-std",
    Std,
    std::sync::RwLock<Std>,
    |lock| (
        lock.read().expect("nobody panics"),
        lock.write().expect("nobody panics")
    )
);

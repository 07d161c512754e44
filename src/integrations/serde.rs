//! `serde` for statuses, incarnations, claims, snapshots and digests.
//!
//! Human-readable formats get names (`"suspect"`), others the rank (3), which is also the number in packed states.
//! Reading rejects an incarnation above the range of a table, a second row of a node, and a tombstone of a running
//! node. So a snapshot that was read is as valid as one that was taken here, and a merge can rely on it.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::borrow::Cow;

use ::serde::de::Error;
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::key_form::KeyForm;
use crate::rule::{Claim, Incarnation, PackedState, Status};
use crate::snapshot::{Digest, Known, Record, Snapshot};

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            serializer.serialize_u8(self.rank())
        }
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let name = Cow::<'de, str>::deserialize(deserializer)?;
            name.parse().map_err(D::Error::custom)
        } else {
            let rank = u8::deserialize(deserializer)?;
            Self::from_rank(rank).ok_or_else(|| D::Error::custom("not the rank of a status"))
        }
    }
}

/// As its number.
impl Serialize for Incarnation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

/// Any number: the policy of a table decides whether it accepts it.
impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::new)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Claim")]
struct ClaimForm {
    status: Status,
    incarnation: Incarnation,
}

/// Status and incarnation. Trust does not travel: what is read back is not trusted.
impl Serialize for Claim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ClaimForm {
            status: self.status(),
            incarnation: self.incarnation(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = ClaimForm::deserialize(deserializer)?;
        Ok(Self::new(form.status, form.incarnation))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Record")]
struct RecordForm<K> {
    node: K,
    status: Status,
    incarnation: Incarnation,
    age: Duration,
}

impl<K: Serialize + 'static> Serialize for Record<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RecordForm {
            node: KeyForm(self.node()),
            status: self.status(),
            incarnation: self.incarnation(),
            age: self.age(),
        }
        .serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + 'static> Deserialize<'de> for Record<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = RecordForm::<KeyForm<K>>::deserialize(deserializer)?;
        let claim = Claim::new(form.status, form.incarnation);
        Self::new(form.node.0, claim, form.age).ok_or_else(too_high)
    }
}

fn too_high<E: Error>() -> E {
    E::custom("an incarnation above what a table holds")
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Snapshot")]
struct SnapshotForm<R> {
    nodes: R,
    /// The name in text written before the first release.
    #[serde(alias = "graves")]
    tombstones: R,
}

impl<K: Serialize + 'static> Serialize for Snapshot<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SnapshotForm {
            nodes: self.nodes(),
            tombstones: self.tombstones(),
        }
        .serialize(serializer)
    }
}

/// The rows of a serialized snapshot, unchecked.
#[cfg(feature = "persist")]
pub(crate) fn rows_of<'de, K, D>(deserializer: D) -> Result<[Vec<Record<K>>; 2], D::Error>
where
    K: Deserialize<'de> + 'static,
    D: Deserializer<'de>,
{
    let form = SnapshotForm::<Vec<Record<K>>>::deserialize(deserializer)?;
    Ok([form.nodes, form.tombstones])
}

impl<'de, K: Deserialize<'de> + Ord + 'static> Deserialize<'de> for Snapshot<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = SnapshotForm::<Vec<Record<K>>>::deserialize(deserializer)?;
        Self::new(form.nodes, form.tombstones).map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Known")]
struct KnownForm<K> {
    node: K,
    state: Option<Claim>,
    #[serde(alias = "grave")]
    tombstone: Option<Claim>,
}

impl<K: Serialize + 'static> Serialize for Known<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        KnownForm {
            node: KeyForm(&self.node),
            state: self.state.map(PackedState::claim),
            tombstone: self.tombstone.map(PackedState::claim),
        }
        .serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + 'static> Deserialize<'de> for Known<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = KnownForm::<KeyForm<K>>::deserialize(deserializer)?;
        let packed = |claim: Option<Claim>| match claim {
            None => Ok(None),
            Some(claim) => PackedState::of(claim).map(Some).ok_or_else(too_high),
        };
        Ok(Self {
            node: form.node.0,
            state: packed(form.state)?,
            tombstone: packed(form.tombstone)?,
        })
    }
}

/// As the list of its rows.
impl<K: Serialize + 'static> Serialize for Digest<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + Ord + 'static> Deserialize<'de> for Digest<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_rows(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

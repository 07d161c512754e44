//! How a node's key is serialized: as the key's own `serde` form, unless that loses a part of a socket address.
//!
//! `serde` writes an IPv6 socket address as address and port in binary formats, and in text with its scope too. The rest is
//! lost, so two nodes could become one. A key that is a socket address is written whole here:
//!
//! - [`SocketAddr`] in binary formats: as `serde` does, and a third variant where scope or flow information is not 0.
//! - [`SocketAddrV6`] in binary formats: address, port, flow information, scope.
//! - In text: as `serde` does, and an error where flow information is not 0, which text does not show.
//!
//! A socket address inside another type is serialized by that type. [`Snapshot::encode`](crate::Snapshot::encode) notices
//! what it loses.
#![forbid(unsafe_code)]

use core::any::Any;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A key of any type, or a reference to one, in its serialized form.
pub(super) struct KeyForm<K>(pub(super) K);

/// The first two variants are those of `serde`'s own form.
#[derive(Serialize, Deserialize)]
#[serde(rename = "SocketAddr")]
enum AddressForm {
    V4(SocketAddrV4),
    V6(SocketAddrV6),
    WholeV6(WholeV6),
}

/// Address, port, flow information, scope.
#[derive(Serialize, Deserialize)]
#[serde(rename = "SocketAddrV6")]
struct WholeV6(Ipv6Addr, u16, u32, u32);

impl From<SocketAddrV6> for WholeV6 {
    fn from(address: SocketAddrV6) -> Self {
        let (flow, scope) = (address.flowinfo(), address.scope_id());
        Self(*address.ip(), address.port(), flow, scope)
    }
}

impl From<WholeV6> for SocketAddrV6 {
    fn from(WholeV6(ip, port, flow, scope): WholeV6) -> Self {
        Self::new(ip, port, flow, scope)
    }
}

impl From<SocketAddr> for AddressForm {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(v4),
            SocketAddr::V6(v6) if (v6.flowinfo(), v6.scope_id()) == (0, 0) => Self::V6(v6),
            SocketAddr::V6(v6) => Self::WholeV6(v6.into()),
        }
    }
}

impl From<AddressForm> for SocketAddr {
    fn from(form: AddressForm) -> Self {
        match form {
            AddressForm::V4(v4) => v4.into(),
            AddressForm::V6(v6) => v6.into(),
            AddressForm::WholeV6(whole) => SocketAddrV6::from(whole).into(),
        }
    }
}

/// The address in a key that is one of IPv6.
fn v6_of(key: &dyn Any) -> Option<SocketAddrV6> {
    match key.downcast_ref() {
        Some(SocketAddr::V6(v6)) => Some(*v6),
        Some(SocketAddr::V4(_)) => None,
        None => key.downcast_ref().copied(),
    }
}

impl<K: Serialize + 'static> Serialize for KeyForm<&K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key: &dyn Any = self.0;
        if serializer.is_human_readable() {
            if let Some(v6) = v6_of(key).filter(|v6| v6.flowinfo() != 0) {
                return Err(::serde::ser::Error::custom(format_args!(
                    "the flow information of {v6} can't be written as text: pass addresses through \
                     incarnation::canonical_address before they become keys"
                )));
            }
        } else if let Some(address) = key.downcast_ref::<SocketAddr>() {
            return AddressForm::from(*address).serialize(serializer);
        } else if let Some(v6) = key.downcast_ref::<SocketAddrV6>() {
            return WholeV6::from(*v6).serialize(serializer);
        }
        self.0.serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + 'static> Deserialize<'de> for KeyForm<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let mut key: Option<K> = None;
            let place: &mut dyn Any = &mut key;
            if let Some(place) = place.downcast_mut::<Option<SocketAddr>>() {
                *place = Some(AddressForm::deserialize(deserializer)?.into());
            } else if let Some(place) = place.downcast_mut::<Option<SocketAddrV6>>() {
                *place = Some(WholeV6::deserialize(deserializer)?.into());
            } else {
                return K::deserialize(deserializer).map(Self);
            }
            let missing = || ::serde::de::Error::custom("no address");
            return key.map(Self).ok_or_else(missing);
        }
        K::deserialize(deserializer).map(Self)
    }
}

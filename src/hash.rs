//! The default hasher of keys: ahash, with small writes packed together.
//!
//! A derived `Hash` makes one write per field: a `SocketAddr` makes three (which kind of address, the address,
//! the port). ahash multiplies once per write. A [`Packer`] collects small writes into one 64-bit number and passes
//! that on, so an IPv4 address costs one multiplication instead of three.
//!
//! Equal sequences of writes give equal hashes, so `str` finds what was stored under `String`, as with any
//! other hasher. The packer keeps different sequences of writes of one type apart: see [`Packer`].
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hasher};

/// The default state for hashing keys. It is keyed by random numbers, so a stranger who chooses the
/// keys cannot make them collide.
///
/// Two states made by [`new`](Self::new) hash differently; clones hash alike. How it hashes is no part
/// of the API, and may change from version to version.
///
/// ```
/// use incarnation::{IncarnationTracker, RandomState};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let state = RandomState::new();
/// let tracker: IncarnationTracker<String> =
///     IncarnationTracker::builder().hasher(state.clone()).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RandomState(ahash::RandomState);

impl RandomState {
    /// A state with a random key. Cost: a few nanoseconds; the process draws its randomness once.
    #[must_use]
    pub fn new() -> Self {
        Self(ahash::RandomState::new())
    }

    /// A state with a key of the caller's, for runs that must repeat themselves.
    ///
    /// A stranger who knows the key can choose keys that collide. Do not use this for keys that strangers choose.
    #[must_use]
    pub fn with_seeds(seeds: [u64; 4]) -> Self {
        let [a, b, c, d] = seeds;
        Self(ahash::RandomState::with_seeds(a, b, c, d))
    }
}

impl Default for RandomState {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RandomState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomState").finish_non_exhaustive()
    }
}

impl BuildHasher for RandomState {
    type Hasher = KeyHasher;

    #[inline(always)]
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(Packer::new(self.0.build_hasher()))
    }
}

/// The hasher of [`RandomState`].
#[derive(Clone, Debug)]
pub struct KeyHasher(Packer<ahash::AHasher>);

macro_rules! forward {
    ($($write:ident: $number:ty),*) => {$(
        #[inline(always)]
        fn $write(&mut self, number: $number) {
            self.0.$write(number);
        }
    )*};
}

impl Hasher for KeyHasher {
    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    forward!(write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128);
    forward!(write_usize: usize, write_isize: isize);
}

/// Collects small writes into 64-bit numbers and passes those on to `inner`.
///
/// Each small write shifts what is pending to the left and goes below it. A *marker*, one bit that is set above
/// the oldest write, says how many bits are pending: without it, the writes `[5]` and `[0, 5]` would leave the
/// same number. A write that does not fit passes on what is pending and begins anew. Larger writes pass on
/// what is pending, then go to `inner` as they are, so the order of writes is kept.
///
/// `isize`, which `derive(Hash)` writes for the variant of an enum, takes 8 bits from 0 to 254. Any other
/// value is an escape, 255, and all of its bits after it.
#[derive(Clone, Debug)]
struct Packer<H, const MARKED: bool = true> {
    inner: H,
    /// The marker, and below it the writes that are not passed on yet.
    pending: u64,
}

/// What stands for a variant that does not fit into 8 bits.
const ESCAPE: isize = 0xff;

impl<H: Hasher, const MARKED: bool> Packer<H, MARKED> {
    /// Nothing pending: only the marker. (The tests leave it out, to see that they need it.)
    const EMPTY: u64 = MARKED as u64;

    #[inline(always)]
    fn new(inner: H) -> Self {
        Self {
            inner,
            pending: Self::EMPTY,
        }
    }

    /// Adds a write of so many bits, less than 64.
    #[inline(always)]
    fn pack(&mut self, value: u64, bits: u32) {
        // The marker, or a bit of a write, would be shifted out.
        if self.pending >> (u64::BITS - bits) != 0 {
            self.inner.write_u64(self.pending);
            self.pending = Self::EMPTY;
        }
        self.pending = self.pending << bits | value;
    }

    #[inline(always)]
    fn pass_on(&mut self) {
        if self.pending != Self::EMPTY {
            self.inner.write_u64(self.pending);
            self.pending = Self::EMPTY;
        }
    }
}

impl<H: Hasher + Clone, const MARKED: bool> Hasher for Packer<H, MARKED> {
    #[inline(always)]
    fn finish(&self) -> u64 {
        let mut all = self.clone();
        all.pass_on();
        all.inner.finish()
    }

    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        self.pass_on();
        self.inner.write(bytes);
    }

    #[inline(always)]
    fn write_u8(&mut self, number: u8) {
        self.pack(number.into(), u8::BITS);
    }

    #[inline(always)]
    fn write_u16(&mut self, number: u16) {
        self.pack(number.into(), u16::BITS);
    }

    #[inline(always)]
    fn write_u32(&mut self, number: u32) {
        self.pack(number.into(), u32::BITS);
    }

    #[inline(always)]
    fn write_u64(&mut self, number: u64) {
        self.pass_on();
        self.inner.write_u64(number);
    }

    #[inline(always)]
    fn write_u128(&mut self, number: u128) {
        self.pass_on();
        self.inner.write_u128(number);
    }

    #[inline(always)]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline(always)]
    fn write_isize(&mut self, number: isize) {
        if (0..ESCAPE).contains(&number) {
            self.pack(number as u64, u8::BITS);
        } else {
            self.pack(ESCAPE as u64, u8::BITS);
            self.write_u64(number as u64);
        }
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use std::collections::HashSet;
    use std::hash::Hash;
    use std::net::{IpAddr, Ipv6Addr, SocketAddr};

    use proptest::prelude::*;

    use super::*;

    const SEEDS: [u64; 4] = [
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98_ec4e_6c89,
    ];

    /// A hasher that writes down what it is given. Two keys collide in it only if their writes are the same.
    #[derive(Clone, Default)]
    struct Recorder(Vec<(usize, Vec<u8>)>);

    impl Hasher for Recorder {
        fn finish(&self) -> u64 {
            unreachable!("only the writes are looked at")
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0.push((bytes.len(), bytes.to_vec()));
        }
    }

    /// One write of a key.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Write {
        U8(u8),
        U16(u16),
        U32(u32),
        U64(u64),
        U128(u128),
        Isize(isize),
        Bytes(Vec<u8>),
    }

    impl Write {
        fn to(&self, hasher: &mut impl Hasher) {
            match self {
                Self::U8(number) => hasher.write_u8(*number),
                Self::U16(number) => hasher.write_u16(*number),
                Self::U32(number) => hasher.write_u32(*number),
                Self::U64(number) => hasher.write_u64(*number),
                Self::U128(number) => hasher.write_u128(*number),
                Self::Isize(number) => hasher.write_isize(*number),
                Self::Bytes(bytes) => hasher.write(bytes),
            }
        }
    }

    /// What a packer passes on of a sequence of writes.
    fn passed_on<const MARKED: bool>(writes: &[Write]) -> Vec<(usize, Vec<u8>)> {
        let mut packer = Packer::<Recorder, MARKED>::new(Recorder::default());
        for write in writes {
            write.to(&mut packer);
        }
        packer.pass_on();
        packer.inner.0
    }

    /// How many of these sequences a packer passes on as it does another one.
    fn collisions<const MARKED: bool>(sequences: &[Vec<Write>]) -> usize {
        let passed: HashSet<_> = sequences.iter().map(|s| passed_on::<MARKED>(s)).collect();
        sequences.len() - passed.len()
    }

    /// Sequences of one kind of write, of every length up to 20, that differ in a few values or in length only.
    fn sequences_of(write: impl Fn(u8) -> Write) -> Vec<Vec<Write>> {
        let mut sequences = vec![Vec::new()];
        for length in 1..=20 {
            let zeroes = vec![write(0); length];
            for place in 0..length {
                for value in [1, 5, 254, 255] {
                    let mut one = zeroes.clone();
                    one[place] = write(value);
                    sequences.push(one);
                }
            }
            sequences.push(zeroes);
        }
        sequences
    }

    #[test]
    fn sequences_that_differ_in_a_value_or_in_length_stay_apart() {
        let kinds: [fn(u8) -> Write; 4] = [
            |value| Write::U8(value),
            |value| Write::U16(u16::from(value) << 8),
            |value| Write::U32(u32::from(value)),
            |value| Write::Isize(isize::from(value)),
        ];
        for kind in kinds {
            let sequences = sequences_of(kind);
            assert_eq!(collisions::<true>(&sequences), 0);
        }
        let five = [Write::U8(5)];
        for zero in [0, 1] {
            let mut two = vec![Write::U8(0), Write::U8(0)];
            two[zero] = Write::U8(5);
            assert_ne!(passed_on::<true>(&five), passed_on::<true>(&two));
        }
    }

    #[test]
    fn a_packer_without_its_marker_is_caught_by_the_test_above() {
        let sequences = sequences_of(Write::U8);
        assert!(collisions::<false>(&sequences) > 0);
    }

    #[test]
    fn every_variant_number_is_told_from_every_other_one() {
        let numbers = [0, 1, 127, 128, 253, 254, 255, 256, 511, -1, -2, isize::MAX];
        let sequences: Vec<_> = numbers
            .into_iter()
            .chain([isize::MIN])
            .flat_map(|number| [0, 255].map(|next| vec![Write::Isize(number), Write::U8(next)]))
            .collect();
        assert_eq!(collisions::<true>(&sequences), 0);
    }

    #[test]
    fn an_ipv4_address_is_one_write_and_an_ipv6_address_few() {
        let writes = |text: &str| {
            let mut packer = Packer::<Recorder>::new(Recorder::default());
            text.parse::<SocketAddr>().unwrap().hash(&mut packer);
            packer.pass_on();
            packer.inner.0.len()
        };
        assert_eq!(writes("10.1.2.3:7946"), 1);
        assert!(writes("[2001:db8::1]:7946") <= 4);
    }

    fn any_write() -> impl Strategy<Value = Write> {
        prop_oneof![
            any::<u8>().prop_map(Write::U8),
            any::<u16>().prop_map(Write::U16),
            any::<u32>().prop_map(Write::U32),
            any::<u64>().prop_map(Write::U64),
            any::<u128>().prop_map(Write::U128),
            (-2_isize..300).prop_map(Write::Isize),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Write::Bytes),
        ]
    }

    #[allow(
        clippy::manual_hash_one,
        reason = "the calls of a table, which does the same"
    )]
    fn hash(key: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = RandomState::with_seeds(SEEDS).build_hasher();
        key.hash(&mut hasher);
        hasher.finish()
    }

    proptest! {
        /// One value of the sequence changed: the type is the same, so the writes must stay apart.
        #[test]
        fn a_changed_write_changes_what_is_passed_on(
            writes in proptest::collection::vec(any_write(), 1..12),
            place: proptest::sample::Index,
            to in any_write(),
        ) {
            let place = place.index(writes.len());
            let mut changed = writes.clone();
            if core::mem::discriminant(&to) == core::mem::discriminant(&writes[place]) && to != writes[place] {
                changed[place] = to;
                prop_assert_ne!(passed_on::<true>(&writes), passed_on::<true>(&changed));
            }
            prop_assert_eq!(passed_on::<true>(&writes), passed_on::<true>(&writes.clone()));
        }

        #[test]
        fn forms_of_one_key_hash_alike(text: String, bytes: Vec<u8>, numbers: Vec<u16>, number: u64, port: u16, ip: u32) {
            prop_assert_eq!(hash(&text), hash(text.as_str()));
            prop_assert_eq!(hash(&(text.clone(), number)), hash(&(text.as_str(), number)));
            prop_assert_eq!(hash(&std::sync::Arc::<str>::from(text.as_str())), hash(&text));
            prop_assert_eq!(hash(&bytes), hash(bytes.as_slice()));
            prop_assert_eq!(hash(&bytes.clone().into_boxed_slice()), hash(&bytes));
            prop_assert_eq!(hash(&numbers), hash(numbers.as_slice()));
            prop_assert_eq!(hash(&[port, 7]), hash([port, 7].as_slice()));
            prop_assert_eq!(hash(&Box::new(number)), hash(&number));
            let node = SocketAddr::from((ip.to_be_bytes(), port));
            prop_assert_eq!(hash(&node), hash(&node.to_string().parse::<SocketAddr>().unwrap()));
            prop_assert_eq!(hash(&Some(node)), hash(&Some(&node)));
        }
    }

    /// So many keys of each kind.
    const KEYS: u64 = if cfg!(debug_assertions) {
        30_000
    } else {
        10_000_000
    };

    /// How far a hash is from random, where a table looks at it: the number of keys whose high half is another
    /// key's too, and the sum of squares of how many keys fall to each of 2^16 heads by the low bits of that half,
    /// and by its high bits. All in units of what a random function is expected to give.
    #[allow(
        clippy::manual_hash_one,
        reason = "the calls of a table, which does the same"
    )]
    fn unevenness<S: BuildHasher, K: Hash>(state: &S, key: &dyn Fn(u64) -> K) -> [f64; 3] {
        let mut halves: Vec<u32> = (0..KEYS)
            .map(|number| {
                let mut hasher = state.build_hasher();
                key(number).hash(&mut hasher);
                (hasher.finish() >> 32) as u32
            })
            .collect();
        let squares = |bits: &dyn Fn(u32) -> u32| {
            let mut heads = vec![0_u32; 1 << 16];
            for half in &halves {
                heads[bits(*half) as usize] += 1;
            }
            let sum: f64 = heads.iter().map(|n| f64::from(*n).powi(2)).sum();
            let keys = KEYS as f64;
            sum / (keys + keys * (keys - 1.0) / 65_536.0)
        };
        let (low, high) = (squares(&|half| half & 0xffff), squares(&|half| half >> 16));
        halves.sort_unstable();
        let equal = halves.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let expected = (KEYS as f64).powi(2) / 2.0_f64.powi(33);
        [(equal as f64 + 1.0) / (expected + 1.0), low, high]
    }

    /// Ours is as even as a random function, or as ahash if that is less even.
    fn assert_spreads<K: Hash>(kind: &str, key: impl Fn(u64) -> K) {
        let [a, b, c, d] = SEEDS;
        let ours = unevenness(&RandomState::with_seeds(SEEDS), &key);
        let ahash = unevenness(&ahash::RandomState::with_seeds(a, b, c, d), &key);
        let slack = if cfg!(debug_assertions) {
            [4.0, 1.02, 1.02]
        } else {
            [1.1, 1.001, 1.001]
        };
        for (place, (ours, ahash)) in ours.into_iter().zip(ahash).enumerate() {
            assert!(
                ours <= ahash.max(1.0) * slack[place],
                "{kind}: measure {place} is {ours}, with ahash {ahash}"
            );
        }
    }

    /// How unevenly 10,000 addresses in a row fall to 2^16 heads, under the worst of 300 keys, in units of what a random
    /// function is expected to give.
    fn worst_unevenness(hash: impl Fn([u64; 2], SocketAddr) -> u64) -> f64 {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        };
        let (nodes, heads) = (10_000_u32, 1 << 16);
        let of_a_key = |key| {
            let mut chains = vec![0_u32; heads];
            for node in 0..nodes {
                let node = SocketAddr::from(((0x0a00_0000 + node).to_be_bytes(), 7946));
                chains[(hash(key, node) >> 32) as usize % heads] += 1;
            }
            let sum: f64 = chains.iter().map(|length| f64::from(*length).powi(2)).sum();
            let nodes = f64::from(nodes);
            sum / (nodes + nodes * (nodes - 1.0) / heads as f64)
        };
        let unevenness = (0..300).map(|_| of_a_key([random(), random()]));
        unevenness.fold(0.0, f64::max)
    }

    #[test]
    #[allow(
        clippy::manual_hash_one,
        reason = "the calls of a table, which does the same"
    )]
    fn addresses_in_a_row_spread_under_every_key_and_one_multiplication_would_not_do() {
        let ours = worst_unevenness(|[a, b], node| {
            let mut hasher = RandomState::with_seeds([a, b, !a, !b]).build_hasher();
            node.hash(&mut hasher);
            hasher.finish()
        });
        assert!(ours < 1.1, "{ours}");
        // What the packer makes of an address, multiplied once by a random number, and both halves put together.
        let one_multiplication = worst_unevenness(|[a, b], node| {
            let SocketAddr::V4(node) = node else {
                unreachable!("made of 32 bits");
            };
            let packed = 1 << 56 | u64::from(node.ip().to_bits()) << 16 | u64::from(node.port());
            let product = u128::from(packed ^ a) * u128::from(b | 1);
            product as u64 ^ (product >> 64) as u64
        });
        assert!(one_multiplication > 2.0, "{one_multiplication}");
    }

    #[test]
    fn real_looking_keys_spread_as_evenly_as_with_ahash() {
        // A data centre: few networks, hosts one by one, few ports.
        assert_spreads("IPv4", |n| {
            SocketAddr::from((
                [10, (n >> 16) as u8, (n >> 8) as u8, n as u8],
                7946 + (n >> 24) as u16,
            ))
        });
        assert_spreads("ports of one IPv4 host", |n| {
            SocketAddr::from(([192, 168, 0, (n >> 16) as u8], n as u16))
        });
        assert_spreads("IPv6", |n| {
            SocketAddr::from((
                Ipv6Addr::from_bits((0x2001_0db8 << 96) | u128::from(n)),
                7946,
            ))
        });
        assert_spreads("IPv6 networks", |n| {
            SocketAddr::from((
                Ipv6Addr::from_bits((0xfd00 << 112) | (u128::from(n) << 64) | 1),
                7946,
            ))
        });
        assert_spreads("IP addresses", |n| {
            IpAddr::from(((n as u32) | 0x0a00_0000).to_be_bytes())
        });
        assert_spreads("names", |n| format!("node-{n}.east.example:7946"));
        assert_spreads("pairs", |n| ((n >> 10) as u32, (n & 1023) as u16));
        assert_spreads("name and number", |n| {
            (["east", "west"][(n & 1) as usize], n >> 1)
        });
        assert_spreads("u32", |n| n as u32);
        assert_spreads("u64", |n| n << 20);
        assert_spreads("bytes", |n| (n as u32).to_be_bytes());
    }
}

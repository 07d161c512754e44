//! What a node of the protocol is set up with, and how its times follow from the size of the group
//! and from its own health. Made by the program that runs a node; read by the rest of this crate.

use core::fmt;
use core::time::Duration;

/// How a node runs the protocol. All members of a cluster should have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which cluster this is: datagrams of another one are dropped. A guard against mistakes, not
    /// against attackers.
    pub cluster: u32,
    /// The protocol period: each node probes one member in each (SWIM, section 3). At most a day. Default 1 s.
    pub period: Duration,
    /// How long to wait for an ack before others are asked to probe: a bit more than a round trip
    /// takes. At most a third of the period, so that the indirect probe fits in. Default 300 ms.
    pub probe_timeout: Duration,
    /// How many members are asked to probe one that did not answer (SWIM's k), at most 64. Default 3.
    pub indirect_probes: usize,
    /// A suspicion by several independent accusers lasts so many periods times ln(n + 1) for n members, before it
    /// becomes a death (SWIM, section 4.2; the logarithm is the time that the refutation needs). 1 to 1000. Default 3.
    pub suspicion_factor: u32,
    /// How many times longer a suspicion by one accuser lasts (Lifeguard's β, section IV-B): it may be the accuser that
    /// is faulty. 1 to 100; 1 turns it off. Default 6.
    pub lone_suspicion_factor: u32,
    /// A piece of news is passed on so many times ln(n + 1) times (SWIM, section 4.1: λ log n).
    /// 1 to 1000. Default 3.
    pub gossip_factor: u32,
    /// The longest datagram to send, and to accept: 256 to 65,507 bytes. Default 1400, which fits an Ethernet frame.
    pub max_datagram: usize,
    /// How many nodes that were heard of, but not from, are contacted in each period; and how many one member may
    /// introduce in a period. Default 16.
    pub introductions: usize,
    /// After how many periods a node exchanges its whole state with a random member. 1 to 1,000,000. Default 30.
    pub sync_periods: u32,
    /// How many times in a period whole states are sent to newcomers, and as many times to members, on request: two to an
    /// address, and four to an IP other than the loopback. Requests beyond that get no answer. Default 32.
    pub syncs_per_period: u32,
    /// After how many periods the tracker is swept. 0: never, since the program does it. Default 5.
    pub sweep_periods: u32,
    /// How many times slower a node in bad health probes (Lifeguard's S, section IV-A). At most 1000. Default 8.
    pub max_health: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: 0,
            period: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(300),
            indirect_probes: 3,
            suspicion_factor: 3,
            lone_suspicion_factor: 6,
            gossip_factor: 3,
            max_datagram: 1400,
            introductions: 16,
            sync_periods: 30,
            syncs_per_period: 32,
            sweep_periods: 5,
            max_health: 8,
        }
    }
}

/// A configuration that the protocol can't run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The probe timeout is zero, or more than a third of the period.
    ProbeTimeout {
        /// The timeout.
        probe_timeout: Duration,
        /// The period.
        period: Duration,
    },
    /// A period of more than a day.
    Period {
        /// The period.
        period: Duration,
    },
    /// A number that is out of its range.
    OutOfRange {
        /// The field of [`Config`].
        field: &'static str,
        /// Its value.
        value: u64,
        /// The lowest that it may be.
        min: u64,
        /// The highest that it may be.
        max: u64,
    },
    /// The protocol's own address is not the tracker's local node, or can't be a node's.
    NotTheLocalNode,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProbeTimeout {
                probe_timeout,
                period,
            } => write!(
                f,
                "probe_timeout is {probe_timeout:?}; with a period of {period:?} it must be above zero and at most {:?}",
                *period / 3
            ),
            Self::Period { period } => {
                write!(f, "period is {period:?}; it must be at most a day")
            }
            Self::OutOfRange {
                field,
                value,
                min,
                max,
            } => write!(f, "{field} is {value}; it must be from {min} to {max}"),
            Self::NotTheLocalNode => f.write_str(
                "the protocol's own address must be the tracker's local node, one address that peers can send to, \
                 and an IPv4 address as such instead of mapped into IPv6",
            ),
        }
    }
}

impl core::error::Error for ConfigError {}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let period = self.period;
        if period > DAY {
            return Err(ConfigError::Period { period });
        }
        if self.probe_timeout.is_zero() || self.probe_timeout > period / 3 {
            return Err(ConfigError::ProbeTimeout {
                probe_timeout: self.probe_timeout,
                period,
            });
        }
        for (field, value, min, max) in [
            ("max_datagram", self.max_datagram as u64, 256, 65_507),
            ("indirect_probes", self.indirect_probes as u64, 0, 64),
            ("suspicion_factor", self.suspicion_factor.into(), 1, 1000),
            (
                "lone_suspicion_factor",
                self.lone_suspicion_factor.into(),
                1,
                100,
            ),
            ("gossip_factor", self.gossip_factor.into(), 1, 1000),
            ("sync_periods", self.sync_periods.into(), 1, 1_000_000),
            ("max_health", self.max_health.into(), 0, 1000),
        ] {
            if !(min..=max).contains(&value) {
                return Err(ConfigError::OutOfRange {
                    field,
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }

    /// How long a group of `members` leaves a node that several others suspect to refute. Never less than the factor's
    /// own number of periods.
    #[must_use]
    pub fn suspicion_timeout(&self, members: usize) -> Duration {
        self.period
            .mul_f64(f64::from(self.suspicion_factor) * log(members))
    }

    /// How long it leaves a node that one other suspects.
    #[must_use]
    pub fn lone_suspicion_timeout(&self, members: usize) -> Duration {
        self.suspicion_timeout(members) * self.lone_suspicion_factor
    }

    /// How often a piece of news is passed on in a group of `members`.
    #[must_use]
    pub fn transmissions(&self, members: usize) -> u32 {
        (f64::from(self.gossip_factor) * log(members)).ceil() as u32
    }
}

/// ln(n + 1), but at least 1: small groups need some periods too.
fn log(members: usize) -> f64 {
    ((members + 1) as f64).ln().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_with_the_logarithm_of_the_group() {
        let config = Config::default();
        let times = [1, 10, 100, 1000, 10_000].map(|n| config.suspicion_timeout(n).as_secs_f64());
        assert_eq!(times[0], 3.0);
        for pair in times.windows(2).skip(1) {
            assert!(
                (pair[1] - pair[0] - 3.0 * 10_f64.ln()).abs() < 0.3,
                "{times:?}"
            );
        }
        assert_eq!(config.transmissions(1000), 21);
    }

    #[test]
    fn a_configuration_out_of_range_is_refused_by_name() {
        let good = Config::default();
        assert_eq!(good.check(), Ok(()));
        let slow = Config {
            probe_timeout: good.period,
            ..good.clone()
        };
        let error = slow.check().unwrap_err();
        assert!(matches!(error, ConfigError::ProbeTimeout { .. }));
        assert!(error.to_string().contains("at most 333.33"), "{error}");
        let endless = Config {
            period: Duration::MAX,
            ..good.clone()
        };
        assert!(matches!(endless.check(), Err(ConfigError::Period { .. })));
        let named = |config: Config| match config.check() {
            Err(ConfigError::OutOfRange { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let small = Config {
            max_datagram: 255,
            ..good.clone()
        };
        assert_eq!(named(small), "max_datagram");
        let never = Config {
            suspicion_factor: 0,
            ..good.clone()
        };
        assert_eq!(named(never), "suspicion_factor");
        let eager = Config {
            indirect_probes: 65,
            ..good
        };
        assert_eq!(named(eager), "indirect_probes");
    }

    #[test]
    fn no_configuration_that_is_accepted_overflows() {
        let extreme = Config {
            period: DAY,
            probe_timeout: DAY / 3,
            suspicion_factor: 1000,
            lone_suspicion_factor: 100,
            gossip_factor: 1000,
            sync_periods: 1_000_000,
            max_health: 1000,
            introductions: usize::MAX,
            syncs_per_period: u32::MAX,
            sweep_periods: u32::MAX,
            ..Config::default()
        };
        assert_eq!(extreme.check(), Ok(()));
        assert!(extreme.lone_suspicion_timeout(usize::MAX - 1) > DAY);
        assert!(extreme.transmissions(1_000_000) > 1000);
    }
}

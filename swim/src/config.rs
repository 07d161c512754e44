//! What a node of the protocol is set up with, and how its times follow from the size of the group
//! and from its own health. Made by whoever runs a node; read by the rest of this crate.

use core::fmt;
use core::time::Duration;

/// How a node runs the protocol. All members of a cluster should have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which cluster this is: datagrams of another one are dropped. A guard against mistakes, not
    /// against attackers.
    pub cluster: u32,
    /// The protocol period: each node probes one member in each (SWIM, section 3). Default 1 s.
    pub period: Duration,
    /// How long to wait for an ack before others are asked to probe: a bit more than a round trip
    /// takes. At most a third of the period, so that the indirect probe fits in. Default 300 ms.
    pub probe_timeout: Duration,
    /// How many members are asked to probe one that did not answer (SWIM's k). Default 3.
    pub indirect_probes: usize,
    /// A suspicion lasts so many periods times ln(n + 1) for n members, before it becomes a death
    /// (SWIM, section 4.2; the logarithm is the time that the refutation needs). Default 3.
    pub suspicion_factor: u32,
    /// A piece of news is passed on so many times ln(n + 1) times (SWIM, section 4.1: λ log n).
    /// Default 3.
    pub gossip_factor: u32,
    /// The longest datagram to send, and to accept. Default 1400 bytes, which fits an Ethernet frame.
    pub max_datagram: usize,
    /// How many members that were heard of, but not from, are contacted in each period. Default 16.
    pub introductions: usize,
    /// After how many periods a node exchanges its whole state with a random member. Default 30.
    pub sync_periods: u32,
    /// How many times in a period whole states are sent on request; who asks beyond that gets
    /// one datagram of it. Default 32.
    pub syncs_per_period: u32,
    /// After how many periods the tracker is swept. 0: never, since the program does it. Default 5.
    pub sweep_periods: u32,
    /// How many times slower a node in bad health probes (Lifeguard's S, section IV-A). Default 8.
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
    ProbeTimeout,
    /// Datagrams shorter than 128 bytes, or longer than UDP's 65,507.
    MaxDatagram,
    /// A suspicion that ends, or news that is dropped, at once: a factor of zero.
    ZeroFactor,
    /// The tracker does not hold the protocol's own address for its local node.
    NotTheLocalNode,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProbeTimeout => "probe timeout must be above zero, at most a third of the period",
            Self::MaxDatagram => "datagrams must have room for 128 to 65,507 bytes",
            Self::ZeroFactor => "suspicion, gossip and sync must last at least a period",
            Self::NotTheLocalNode => "the tracker's local node is not the protocol's own address",
        })
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.probe_timeout.is_zero() || self.probe_timeout.saturating_mul(3) > self.period {
            return Err(ConfigError::ProbeTimeout);
        }
        if !(128..=65_507).contains(&self.max_datagram) {
            return Err(ConfigError::MaxDatagram);
        }
        if self.suspicion_factor == 0 || self.gossip_factor == 0 || self.sync_periods == 0 {
            return Err(ConfigError::ZeroFactor);
        }
        Ok(())
    }

    /// How long a group of `members` leaves a suspected one to refute. Never less than the factor's
    /// own number of periods.
    #[must_use]
    pub fn suspicion_timeout(&self, members: usize) -> Duration {
        self.period
            .mul_f64(f64::from(self.suspicion_factor) * log(members))
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
    fn contradictions_are_refused() {
        let good = Config::default();
        assert_eq!(good.check(), Ok(()));
        let slow = Config {
            probe_timeout: good.period,
            ..good.clone()
        };
        assert_eq!(slow.check(), Err(ConfigError::ProbeTimeout));
        let small = Config {
            max_datagram: 100,
            ..good.clone()
        };
        assert_eq!(small.check(), Err(ConfigError::MaxDatagram));
        let never = Config {
            suspicion_factor: 0,
            ..good
        };
        assert_eq!(never.check(), Err(ConfigError::ZeroFactor));
    }
}

//! How much goes on, by the second.

use std::time::Instant;

use crate::cast::Shared;
use crate::readers::Lookups;

#[derive(Default)]
pub struct Rates {
    last: Option<(Instant, u64, u64)>,
    line: String,
}

impl Rates {
    /// Claims and lookups a second since the last call, if that was long enough ago.
    pub fn line(&mut self, cast: &Shared, lookups: &Lookups) -> &str {
        let now = Instant::now();
        let (claims, done) = (cast.total(|stats| stats.claims), lookups.done());
        let Some((then, claims_then, done_then)) = self.last else {
            self.last = Some((now, claims, done));
            return &self.line;
        };
        let seconds = now.duration_since(then).as_secs_f64();
        if seconds >= 0.5 {
            let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
            self.line = format!(
                "{:.0} claims/s, {:.2} M lookups/s, p99 {} ns, {} running",
                rate(claims, claims_then),
                rate(done, done_then) / 1e6,
                lookups.quantile(0.99),
                cast.trackers().len(),
            );
            self.last = Some((now, claims, done));
        }
        &self.line
    }
}

//! When servers answered, and how old their answers were: read from the headers `Date` and `Age` (RFC 9110, section 6.6.1;
//! RFC 9111, section 5.1). Must not keep anything else of an answer.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AGE, DATE, HeaderMap};

use crate::facts::Receipt;

/// Seconds by which two clocks may differ before an answer counts as a copy.
const SLACK: i64 = 300;

/// The receipts of one run, by address.
#[derive(Debug)]
pub(crate) struct Receipts {
    now: Timestamp,
    started: Instant,
    kept: Mutex<BTreeMap<String, Receipt>>,
}

impl Receipts {
    /// None yet; `now` is the wall clock at `started`.
    pub(crate) fn new(now: Timestamp, started: Instant) -> Self {
        Self { now, started, kept: Mutex::default() }
    }

    /// Keeps when an address answered, and how old its answer was.
    pub(crate) fn keep(&self, address: &str, headers: &HeaderMap) {
        let passed = i64::try_from(self.started.elapsed().as_secs()).unwrap_or_default();
        let asked = self.now.checked_add(SignedDuration::from_secs(passed)).unwrap_or(self.now);
        let receipt = receipt(asked, headers);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), receipt);
    }

    /// Keeps that an address answered, of which no header is known.
    pub(crate) fn note(&self, address: &str) {
        self.keep(address, &HeaderMap::new());
    }

    /// All of them.
    pub(crate) fn taken(&self) -> BTreeMap<String, Receipt> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn receipt(asked: Timestamp, headers: &HeaderMap) -> Receipt {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let dated = text(DATE).and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
    let stored = text(AGE).and_then(|age| age.parse::<i64>().ok()).filter(|age| *age > 0);
    // A cache that sends no `Age` still hands on the `Date` of the server behind it.
    let lag = dated.map(|date| asked.as_second() - date.as_second()).filter(|lag| *lag > SLACK);
    let copy = stored.max(lag);
    let made = copy.and_then(|copy| asked.checked_sub(SignedDuration::from_secs(copy)).ok()).or(dated);
    Receipt {
        asked: asked.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        on: made.map(|at| at.strftime("%Y-%m-%d").to_string()),
        copy_s: copy.and_then(|copy| u64::try_from(copy).ok()),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{AGE, DATE, HeaderMap};

    use super::receipt;

    #[test]
    fn an_answer_is_as_old_as_its_headers_say() {
        let asked = "2026-11-21T10:00:00Z".parse().expect("a time");
        for (date, age, on, copy_s) in [
            (None, None, None, None),
            (Some("Sat, 21 Nov 2026 10:00:02 GMT"), None, Some("2026-11-21"), None),
            (Some("Sat, 21 Nov 2026 10:00:00 GMT"), Some("86400"), Some("2026-11-20"), Some(86_400)),
            (Some("Thu, 19 Nov 2026 10:00:00 GMT"), None, Some("2026-11-19"), Some(172_800)),
            (Some("Thu, 19 Nov 2026 10:00:00 GMT"), Some("60"), Some("2026-11-19"), Some(172_800)),
            (None, Some("0"), None, None),
            (Some("yesterday"), Some("old"), None, None),
            (None, Some("9223372036854775807"), None, Some(9_223_372_036_854_775_807)),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(DATE, date), (AGE, age)] {
                headers.extend(value.map(|value| (name, value.parse().expect("a value"))));
            }
            let seen = receipt(asked, &headers);
            assert_eq!((seen.on.as_deref(), seen.copy_s), (on, copy_s), "{date:?} {age:?}");
            assert_eq!(seen.asked, "2026-11-21T10:00:00Z");
        }
    }
}

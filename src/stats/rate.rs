//! A rate together with what stands behind it.

use super::{clopper_pearson_lower, clopper_pearson_upper};

/// A share of counted things, with its exact one-sided 95 % bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// What was counted.
    pub numerator: u64,
    /// Out of how many.
    pub denominator: u64,
    /// The share; `None` when the denominator is zero.
    pub value: Option<f64>,
    /// The true rate is at least this high with 95 % confidence; `None` when the denominator is zero.
    pub lower95: Option<f64>,
    /// The true rate is at most this high with 95 % confidence; `None` when the denominator is zero.
    pub upper95: Option<f64>,
}

impl Rate {
    /// Counts `numerator` out of `denominator`; a numerator above the denominator is cut to it.
    pub fn of(numerator: u64, denominator: u64) -> Self {
        let numerator = numerator.min(denominator);
        let measured = denominator > 0;
        #[expect(clippy::cast_precision_loss, reason = "counts of trials stay far below 2^53")]
        let value = measured.then(|| numerator as f64 / denominator as f64);
        Self {
            numerator,
            denominator,
            value,
            lower95: measured.then(|| clopper_pearson_lower(numerator, denominator, 0.95)),
            upper95: measured.then(|| clopper_pearson_upper(numerator, denominator, 0.95)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn a_rate_carries_its_bounds() {
        let rate = Rate::of(95, 100);
        assert_eq!((rate.numerator, rate.denominator, rate.value), (95, 100, Some(0.95)));
        assert!(rate.lower95.is_some_and(|bound| (bound - 0.898).abs() < 0.001));
        assert!(rate.upper95.is_some_and(|bound| bound > 0.95 && bound < 1.0));
    }

    #[test]
    fn nothing_measured_is_no_number() {
        let rate = Rate::of(0, 0);
        assert_eq!((rate.value, rate.lower95, rate.upper95), (None, None, None));
    }
}

//! Exact one-sided bounds of a rate (Clopper and Pearson), from quantiles of the beta distribution.

use statrs::distribution::{Beta, ContinuousCDF as _};

/// Gives the largest rate that `successes` of `n` still refute from below: the true rate is at least this high with
/// the given confidence.
///
/// 0 when nothing was tried. More successes than tries count as all; a confidence outside 0 to 1 is clipped.
pub fn clopper_pearson_lower(successes: u64, n: u64, confidence: f64) -> f64 {
    let successes = successes.min(n);
    if successes == 0 {
        return 0.0;
    }
    quantile(successes, n - successes + 1, 1.0 - clipped(confidence))
}

/// Gives the smallest rate that `successes` of `n` still refute from above: the true rate is at most this high with
/// the given confidence.
///
/// 1 when nothing was tried. More successes than tries count as all; a confidence outside 0 to 1 is clipped.
pub fn clopper_pearson_upper(successes: u64, n: u64, confidence: f64) -> f64 {
    let successes = successes.min(n);
    if successes == n {
        return 1.0;
    }
    quantile(successes + 1, n - successes, clipped(confidence))
}

/// A confidence that is no number claims nothing, so it gives the widest interval.
fn clipped(confidence: f64) -> f64 {
    if confidence.is_nan() { 1.0 } else { confidence.clamp(0.0, 1.0) }
}

fn quantile(a: u64, b: u64, probability: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of trials stay far below 2^53")]
    let beta = Beta::new(a as f64, b as f64).expect("both shapes are at least one");
    beta.inverse_cdf(probability)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    use super::{clopper_pearson_lower as lower, clopper_pearson_upper as upper};

    #[test]
    fn known_bounds_come_out() {
        for (successes, n, confidence, bound) in [
            (0, 300, 0.95, 0.0099),
            (0, 1_000, 0.95, 0.002_99),
            (0, 3_000, 0.95, 0.001_00),
            (0, 10_000, 0.95, 0.000_30),
            (0, 300, 0.975, 0.0122),
            (0, 1_000, 0.975, 0.003_68),
            (0, 3_000, 0.975, 0.001_23),
            (0, 10_000, 0.975, 0.000_37),
            (1, 1_000, 0.95, 0.0047),
            (2, 1_000, 0.95, 0.0063),
            (3, 1_000, 0.95, 0.0077),
            (950, 1_000, 0.95, 0.961),
        ] {
            let seen = upper(successes, n, confidence);
            assert!((seen / bound - 1.0).abs() < 0.01, "{successes} of {n} at {confidence}: {seen} instead of {bound}");
        }
        for (successes, n, bound) in [(950, 1_000, 0.937), (190, 200, 0.917), (95, 100, 0.898)] {
            let seen = lower(successes, n, 0.95);
            assert!((seen - bound).abs() < 0.0006, "{successes} of {n}: {seen} instead of {bound}");
        }
    }

    #[test]
    fn one_trial_more_or_less_decides() {
        for (successes, n) in [(59, 59), (99, 100), (196, 200), (484, 500), (962, 1_000), (2_870, 3_000)] {
            assert!(lower(successes, n, 0.95) >= 0.95, "{successes} of {n}");
            assert!(
                lower(successes - 1, n - u64::from(successes == n), 0.95) < 0.95,
                "one less than {successes} of {n}"
            );
        }
        for (successes, n) in [(197, 200), (485, 500), (964, 1_000)] {
            assert!(lower(successes, n, 0.975) >= 0.95, "{successes} of {n}, two-sided");
            assert!(lower(successes - 1, n, 0.975) < 0.95, "one less than {successes} of {n}, two-sided");
        }
        for (failures, n) in [(0, 2_995), (1, 4_742), (2, 6_294), (3, 7_752)] {
            assert!(upper(failures, n, 0.95) <= 0.001, "{failures} of {n}");
            assert!(upper(failures, n - 1, 0.95) > 0.001, "{failures} of one less than {n}");
        }
        for (failures, n) in [(0, 4_603), (1, 6_636)] {
            assert!(upper(failures, n, 0.99) <= 0.001, "{failures} of {n} at 99 %");
            assert!(upper(failures, n - 1, 0.99) > 0.001, "{failures} of one less than {n} at 99 %");
        }
    }

    #[test]
    fn the_ends_are_exact() {
        for n in [0, 1, 7, 1_000] {
            assert_eq!((lower(0, n, 0.95), upper(n, n, 0.95)), (0.0, 1.0), "n = {n}");
        }
        assert!((lower(1, 1, 0.95) - 0.05).abs() < 1e-9);
        assert!((upper(0, 1, 0.95) - 0.95).abs() < 1e-9);
        assert_eq!((lower(9, 5, 0.95), upper(9, 5, 0.95)), (lower(5, 5, 0.95), 1.0));
        assert_eq!((lower(5, 9, f64::NAN), upper(5, 9, f64::NAN)), (0.0, 1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn the_bounds_enclose_what_was_seen(successes in 0u32..10_000, failures in 1u32..10_000) {
            let seen = f64::from(successes) / f64::from(successes + failures);
            let (successes, n) = (u64::from(successes), u64::from(successes + failures));
            prop_assert!(lower(successes, n, 0.95) <= seen + 1e-12);
            prop_assert!(upper(successes, n, 0.95) >= seen - 1e-12);
        }
    }
}

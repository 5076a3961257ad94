//! The exact sign test of paired outcomes.

use statrs::distribution::{Beta, ContinuousCDF as _};

/// Gives the probability that chance alone makes at least this many of the pairs that differ worse, when better and
/// worse are equally likely (one-sided). 1 when none is worse.
pub fn sign_test(worse: u64, better: u64) -> f64 {
    if worse == 0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of scenarios stay far below 2^53")]
    let tail = Beta::new(worse as f64, better as f64 + 1.0).expect("both shapes are at least one");
    tail.cdf(0.5)
}

#[cfg(test)]
mod tests {
    use super::sign_test;

    #[test]
    fn it_agrees_with_the_binomial_table() {
        for (worse, better, expected) in [
            (0, 0, 1.0),
            (0, 9, 1.0),
            (1, 0, 0.5),
            (5, 0, 0.031_25),
            (4, 0, 0.062_5),
            (9, 1, 11.0 / 1024.0),
            (12, 0, 1.0 / 4096.0),
        ] {
            let found = sign_test(worse, better);
            assert!((found - expected).abs() < 1e-9, "{worse} {better}: {found}");
        }
    }
}

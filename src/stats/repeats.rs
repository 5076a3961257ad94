//! Repeated trials of one scenario: how often at least one of k passes, and how often all k do.

/// Gives the chance that at least one of `k` trials drawn from the seen ones passed: 1 - C(n-c,k)/C(n,k).
///
/// `None` when fewer than `k` trials were seen or `k` is zero.
pub fn pass_at_k(successes: u64, trials: u64, k: u64) -> Option<f64> {
    let failures = trials.checked_sub(successes)?;
    all_drawn(failures, trials, k).map(|none_passed| 1.0 - none_passed)
}

/// Gives the chance that all of `k` trials drawn from the seen ones passed: C(c,k)/C(n,k).
///
/// `None` when fewer than `k` trials were seen or `k` is zero. Unlike the power of the rate it has no bias.
pub fn pass_hat_k(successes: u64, trials: u64, k: u64) -> Option<f64> {
    all_drawn(successes, trials, k)
}

/// C(marked, k) / C(total, k), factor by factor so that nothing overflows.
fn all_drawn(marked: u64, total: u64, k: u64) -> Option<f64> {
    if k == 0 || k > total || marked > total {
        return None;
    }
    if k > marked {
        return Some(0.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of trials stay far below 2^53")]
    Some((0..k).map(|drawn| (marked - drawn) as f64 / (total - drawn) as f64).product())
}

#[cfg(test)]
mod tests {
    use super::{pass_at_k, pass_hat_k};

    #[test]
    fn draws_without_replacement_give_the_known_values() {
        for (successes, trials, k, at_least_one, all) in [
            (9, 10, 3, 1.0, 0.70),
            (9, 10, 5, 1.0, 0.50),
            (1, 10, 1, 0.1, 0.1),
            (1, 4, 2, 0.5, 0.0),
            (0, 5, 3, 0.0, 0.0),
            (5, 5, 5, 1.0, 1.0),
        ] {
            let near = |seen: Option<f64>, known: f64| seen.is_some_and(|seen| (seen - known).abs() < 1e-9);
            assert!(near(pass_at_k(successes, trials, k), at_least_one), "pass@{k} of {successes}/{trials}");
            assert!(near(pass_hat_k(successes, trials, k), all), "pass^{k} of {successes}/{trials}");
        }
    }

    #[test]
    fn too_few_trials_give_no_number() {
        for (successes, trials, k) in [(1, 2, 3), (0, 0, 1), (1, 1, 0), (3, 2, 1)] {
            assert_eq!(pass_at_k(successes, trials, k), None, "{successes}/{trials}, k = {k}");
            assert_eq!(pass_hat_k(successes, trials, k), None, "{successes}/{trials}, k = {k}");
        }
    }
}

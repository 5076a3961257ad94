//! The 95th percentile of measured values.

/// Gives the smallest measured value that at least 95 % of the values do not exceed (nearest rank); `None` when
/// nothing was measured.
pub fn p95<T: Ord + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * 95).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::p95;

    #[test]
    fn the_nearest_rank_is_taken_whatever_the_order() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let twenty: Vec<u64> = (1..=20).collect();
        let cases: [(&[u64], Option<u64>); 5] =
            [(&[], None), (&[7], Some(7)), (&[3, 1, 2], Some(3)), (&twenty, Some(19)), (&hundred, Some(95))];
        for (values, expected) in cases {
            assert_eq!(p95(values), expected, "{values:?}");
        }
    }
}

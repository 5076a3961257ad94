//! Expressions as people write them in rules and dashboards.

use super::{Expr, Kind, Signal, fires};

#[test]
fn expressions_of_rules_and_dashboards_are_read() {
    for (text, metrics) in [
        ("up == 0", "up"),
        (
            "sum(rate(a_total{job=\"x\", code=~\"5..\"}[5m])) by (job) / ignoring(code) sum(rate(b_total[5m]))",
            "a_total b_total",
        ),
        ("histogram_quantile(0.95, sum by (le) (rate(d_seconds_bucket[$__rate_interval])))", "d_seconds_bucket"),
        ("max_over_time(rate(a_total[5m])[1h:1m] offset 1w) > bool 1.2e-3", "a_total"),
        ("a:b:rate5m{env=\"$env\"} and on(job) c unless d or vector(0)", "a:b:rate5m c d"),
        ("-(a - b) ^ 2 % 3 # note", "a b"),
        ("topk($n, {__name__=\"a\"})", "a"),
        ("{\"a.b\", x!=\"y\"}", "a.b"),
        ("a @ end() + 1d", "a"),
    ] {
        let expr = Expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expr.metrics().into_iter().collect::<Vec<_>>().join(" "), metrics, "{text}");
    }
    for text in ["", "sum(", "a{b=1}", "rate(a[5 parsecs])", "a b", "a ?? b", "\"open", "{}", "a[5m", "1 offset 5m"] {
        assert!(Expr::parse(text).is_err(), "{text}");
    }
    let deep = "(".repeat(100_000);
    assert!(Expr::parse(&deep).is_err());
}

#[test]
fn quantiles_are_found_where_they_stand() {
    for (text, expected) in [
        ("histogram_quantile(0.95, rate(d_bucket[5m])) > 20", Some(0.95)),
        ("d{quantile=\"0.99\"}", Some(0.99)),
        ("job:latency:p95", Some(0.95)),
        ("rate(d_sum[5m]) / rate(d_count[5m])", None),
    ] {
        assert_eq!(Expr::parse(text).expect(text).quantile(), expected, "{text}");
    }
}

#[test]
fn alerts_fire_where_the_signal_crosses_them() {
    let kind = |name: &str| if name.contains("cost") { Kind::Signal } else { Kind::Steady };
    let rise = |by: f64| move |at: f64| if at > -7.0 * 86_400.0 { 1.0 + by } else { 1.0 };
    let week = "sum(increase(cost_total[1d])) / sum(increase(runs_total[1d])) \
                > 1.2 * sum(increase(cost_total[1d] offset 7d)) / sum(increase(runs_total[1d] offset 7d))";
    for (text, at_19, at_21) in [
        (week, Some(false), Some(true)),
        ("(cost - cost offset 1w) / (cost offset 1w) > 0.20", Some(false), Some(true)),
        ("avg_over_time(cost[1d]) / quantile_over_time(0.5, cost[1d] offset 1w) > 1.2", Some(false), Some(true)),
        ("increase(cost_total[1d]) > 1.3 * increase(cost_total[1d] offset 7d)", Some(false), Some(false)),
        ("increase(cost_total[1d]) > bool 5", Some(true), Some(true)),
        ("predict_linear(cost[1h], 3600) > 1", None, None),
    ] {
        let expr = Expr::parse(text).expect(text);
        let fired = |by: f64| fires(&expr, &Signal { kind: &kind, level: &rise(by) }, 0.0);
        assert_eq!((fired(0.19), fired(0.21)), (at_19, at_21), "{text}");
    }
}

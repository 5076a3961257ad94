//! What an expression gives over one made-up series per metric: labels are left aside, time is in seconds before or
//! after the moment that is looked at. Counters are told by their names. Must not be taken for a server.

use super::Expr;

/// Points that a stretch of time is sampled at.
const SAMPLES: u32 = 32;
/// How far back a counter that is read without a range has counted.
const SINCE: f64 = 30.0 * 86_400.0;
/// Seconds between two scrapes.
const SCRAPE: f64 = 60.0;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::facts::operation) enum Kind {
    /// It follows the signal.
    Signal,
    /// It stays as it is.
    Steady,
}

/// A world of metrics.
pub(in crate::facts::operation) struct Signal<'a> {
    /// What a metric of this name is.
    pub(in crate::facts::operation) kind: &'a dyn Fn(&str) -> Kind,
    /// The level of the signal at a time: the rate of a counter, the value of a gauge.
    pub(in crate::facts::operation) level: &'a dyn Fn(f64) -> f64,
}

/// Whether an alert with this expression fires at a time; nothing when it can't be worked out.
pub(in crate::facts::operation) fn fires(expr: &Expr, signal: &Signal<'_>, now: f64) -> Option<bool> {
    Some(signal.value(expr, now)?.is_some())
}

fn is_counter(name: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end))
}

fn number(n: u32) -> f64 {
    f64::from(n)
}

/// Nothing outside: not supported; nothing inside: no series.
type Given = Option<Option<f64>>;

impl Signal<'_> {
    fn level_of(&self, name: &str, at: f64) -> f64 {
        match (self.kind)(name) {
            Kind::Signal => (self.level)(at),
            Kind::Steady => 1.0,
        }
    }

    fn mean(&self, name: &str, from: f64, to: f64) -> f64 {
        if (self.kind)(name) == Kind::Steady {
            return 1.0;
        }
        let step = (to - from) / number(SAMPLES);
        let sum: f64 = (0..SAMPLES).map(|n| (self.level)(from + (number(n) + 0.5) * step)).sum();
        sum / number(SAMPLES)
    }

    fn value(&self, expr: &Expr, at: f64) -> Given {
        match expr {
            Expr::Number(number) => Some(Some(*number)),
            Expr::Text(_) | Expr::Subquery { .. } | Expr::Metric { range: Some(_), .. } => None,
            Expr::Metric { name, offset, .. } => {
                let at = at - offset;
                Some(Some(if is_counter(name) {
                    self.mean(name, at - SINCE, at) * SINCE
                } else {
                    self.level_of(name, at)
                }))
            }
            Expr::Call { name, args } => self.call(name, args, at),
            Expr::Binary { op, is_bool, left, right } => {
                let (left, right) = (self.value(left, at)?, self.value(right, at)?);
                binary(op, *is_bool, left, right)
            }
        }
    }

    fn call(&self, name: &str, args: &[Expr], at: f64) -> Given {
        let first = args.first();
        match name {
            "sum" | "avg" | "min" | "max" | "group" | "abs" | "scalar" | "vector" | "round" | "ceil" | "floor"
            | "label_replace" | "label_join" | "sort" | "sort_desc" | "clamp_min" | "clamp_max" | "clamp" => {
                self.value(first?, at)
            }
            "topk" | "bottomk" | "histogram_quantile" | "quantile" => self.value(args.get(1)?, at),
            "count" => Some(self.value(first?, at)?.map(|_| 1.0)),
            "stddev" | "stdvar" => Some(Some(0.0)),
            "absent" | "absent_over_time" => Some(None),
            "time" => Some(Some(at)),
            "ln" => Some(self.value(first?, at)?.map(f64::ln)),
            "quantile_over_time" => {
                let Expr::Number(share) = first? else { return None };
                let mut points = self.points(args.get(1)?, at)?;
                points.sort_by(f64::total_cmp);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into few points")]
                let index = (share.clamp(0.0, 1.0) * number(SAMPLES - 1)).round() as usize;
                Some(points.get(index).copied())
            }
            _ => self.over_time(name, first?, at),
        }
    }

    /// A function over a stretch of time.
    fn over_time(&self, name: &str, argument: &Expr, at: f64) -> Given {
        let points = || self.points(argument, at);
        let length = match argument {
            Expr::Metric { range: Some(range), .. } | Expr::Subquery { range, .. } => *range,
            _ => return None,
        };
        let mean = |points: &[f64]| points.iter().sum::<f64>() / number(SAMPLES);
        let is_metric = |wanted: bool| matches!(argument, Expr::Metric { .. }) == wanted;
        let given = match name {
            "rate" | "irate" if is_metric(true) => mean(&points()?),
            "increase" if is_metric(true) => mean(&points()?) * length,
            "delta" | "idelta" | "deriv" => points()?.last()? - points()?.first()?,
            "avg_over_time" => mean(&points()?),
            "sum_over_time" => mean(&points()?) * (length / SCRAPE),
            "count_over_time" => length / SCRAPE,
            "max_over_time" => points()?.into_iter().fold(f64::NEG_INFINITY, f64::max),
            "min_over_time" => points()?.into_iter().fold(f64::INFINITY, f64::min),
            "last_over_time" => *points()?.last()?,
            "stddev_over_time" => {
                let points = points()?;
                let middle = mean(&points);
                mean(&points.iter().map(|point| (point - middle).powi(2)).collect::<Vec<_>>()).sqrt()
            }
            _ => return None,
        };
        Some(Some(given))
    }

    /// The level at points of a stretch of time; of a counter, its rate.
    fn points(&self, argument: &Expr, at: f64) -> Option<Vec<f64>> {
        let (length, offset) = match argument {
            Expr::Metric { range: Some(range), offset, .. } | Expr::Subquery { range, offset, .. } => (*range, *offset),
            _ => return None,
        };
        let step = length / number(SAMPLES);
        let times = (0..SAMPLES).map(|n| at - offset - length + (number(n) + 0.5) * step);
        match argument {
            Expr::Metric { name, .. } => Some(times.map(|time| self.level_of(name, time)).collect()),
            Expr::Subquery { inner, .. } => times.map(|time| self.value(inner, time)?).collect(),
            _ => None,
        }
    }
}

fn binary(op: &str, is_bool: bool, left: Option<f64>, right: Option<f64>) -> Given {
    match op {
        "and" => return Some(left.filter(|_| right.is_some())),
        "or" => return Some(left.or(right)),
        "unless" => return Some(left.filter(|_| right.is_none())),
        _ => {}
    }
    let (Some(a), Some(b)) = (left, right) else { return Some(None) };
    #[expect(clippy::float_cmp, reason = "the language compares so")]
    let holds = match op {
        "==" => a == b,
        "!=" => a != b,
        ">" => a > b,
        "<" => a < b,
        ">=" => a >= b,
        "<=" => a <= b,
        "+" => return Some(Some(a + b)),
        "-" => return Some(Some(a - b)),
        "*" => return Some(Some(a * b)),
        "/" => return Some(Some(a / b)),
        "%" => return Some(Some(a % b)),
        "^" => return Some(Some(a.powf(b))),
        _ => return None,
    };
    Some(if is_bool { Some(f64::from(u8::from(holds))) } else { Some(a).filter(|_| holds) })
}

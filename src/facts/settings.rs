//! Limits as the repository sets them: numbers and words in code and configuration that bear a limit's usual name.
//!
//! The names are data (`knobs.yaml`). Files are looked through below the manifest's folder; only those in which
//! something was found are kept for the record. The manifest itself, tests, documents and vendored code do not count:
//! a claim is no evidence for itself. Must not compare with a claim; `caps` and `resilience` do.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde_json::{Value, json};

use super::Shelf;
use crate::{
    source::{Route, SourceFile, load_shipped, load_text},
    units::parse_duration,
};

/// Most files that are looked through; configuration first, then what lies nearest to the manifest.
const MAX_FILES: usize = 600;
/// Largest file that is looked through, in bytes.
const MAX_BYTES: usize = 128 * 1024;
/// Deepest nesting of a configuration file that is followed.
const MAX_DEPTH: usize = 12;

const CONFIGURATION: [&str; 9] = ["yaml", "yml", "json", "toml", "env", "ini", "conf", "properties", "tf"];
const CODE: [&str; 14] = ["py", "ts", "tsx", "js", "mjs", "go", "rs", "java", "kt", "rb", "cs", "php", "ex", "sh"];
const NO_EVIDENCE: [&str; 18] = [
    "test",
    "tests",
    "spec",
    "specs",
    "evals",
    "eval",
    "fixtures",
    "scenarios",
    "docs",
    "doc",
    "evidence",
    "examples",
    "vendor",
    "venv",
    "dist",
    "build",
    "site-packages",
    "__pycache__",
];

/// One limit at its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    /// A topic of `knobs.yaml`.
    pub(super) topic: &'static str,
    /// The file, relative to the manifest.
    pub(super) path: String,
    /// The line, counted from one.
    pub(super) line: usize,
    /// The key as written.
    pub(super) key: String,
    /// What it is set to, as written.
    pub(super) text: String,
    /// The number in it: seconds for times, per second for rates with a unit.
    pub(super) number: Option<f64>,
    /// File, parents and line in small letters, to tell of which system it speaks.
    around: String,
}

impl Setting {
    /// As checks and findings see it.
    pub(super) fn json(&self) -> Value {
        json!({"path": self.path, "line": self.line, "key": self.key, "value": self.text})
    }

    /// Whether it lets delays grow by a number, or by a bare yes, as Celery's `retry_backoff` does.
    pub(super) fn is_growth(&self) -> bool {
        is_factor(&self.key) && (self.number.is_some() || self.text.eq_ignore_ascii_case("true"))
    }

    /// Whether it speaks of something with this name.
    pub(super) fn names(&self, name: &str) -> bool {
        let name = compact(name);
        !name.is_empty() && compact(&self.around).contains(&name)
    }
}

static KNOBS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let file = SourceFile::new("knobs.yaml", include_str!("knobs.yaml"));
    load_shipped(file).expect("the shipped names are a map of lists").value
});

/// Compacted name to topic.
static TOPICS: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    let names = KNOBS.iter().flat_map(|(topic, names)| names.iter().map(|name| (compact(name), topic.as_str())));
    names.collect()
});

const KEY: &str = r#"([A-Za-z_][A-Za-z0-9_./-]*) ["']? (?-u:\s*)"#;
const SETS: &str = r#"(?-u: (?: : \s* [A-Za-z_][A-Za-z0-9_<>\[\]|?]* \s* = | => | := | = | : | \( ) \s* ) ["']?"#;

static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"( \$? [0-9][0-9_,]* (?:\.[0-9]+)? (?-u:\s?) (?: r?/[a-z]+ | [A-Za-z]{1,2}(?-u:\b) )? )";
    Regex::new(&format!("(?x) {KEY} {SETS} {number}")).expect("the pattern is valid")
});

static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!("(?x) {KEY} {SETS} ( [A-Za-z][A-Za-z0-9_:/.-]* )")).expect("the pattern is valid")
});

/// Looks through the repository.
pub(super) fn scan(shelf: &Shelf<'_>) -> Vec<Setting> {
    let mut names: Vec<(bool, usize, String)> = shelf
        .matching("**/*")
        .into_iter()
        .filter(|name| is_evidence(name))
        .filter_map(|name| {
            let kind = extension(&name);
            let is_code = CODE.contains(&kind);
            (is_code || CONFIGURATION.contains(&kind)).then(|| (is_code, name.matches('/').count(), name))
        })
        .collect();
    names.sort();
    names.truncate(MAX_FILES);
    let mut found = Vec::new();
    for (is_code, _, name) in names {
        let Some(file) = shelf.peek(&name).filter(|file| file.text().len() <= MAX_BYTES) else { continue };
        let settings = if is_code { lines(&name, file.text()) } else { configured(&name, file) };
        if !settings.is_empty() {
            shelf.text(&name);
            found.extend(settings);
        }
    }
    found
}

fn extension(name: &str) -> &str {
    let base = name.rsplit('/').next().unwrap_or(name);
    if base.starts_with(".env") { "env" } else { base.rsplit_once('.').map_or("", |(_, end)| end) }
}

/// Whether a file sets or loads something for the program that runs: no claim, no test, no document.
pub(super) fn is_evidence(name: &str) -> bool {
    let (folders, base) = name.rsplit_once('/').unwrap_or(("", name));
    let hidden = |part: &str| part.starts_with('.') && part != ".github";
    !base.starts_with("agentready.")
        && !base.to_lowercase().contains("test")
        && !base.contains("lock")
        && folders.split('/').all(|part| !NO_EVIDENCE.contains(&part) && !hidden(part))
}

/// Letters and digits in lower case.
fn compact(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Words of a key below which nothing speaks of calls: somebody asks there whether a process is alive.
const OF_HEALTH: [&str; 4] = ["healthcheck", "livenessprobe", "readinessprobe", "startupprobe"];

/// The topic of a key below its parents.
fn topic(parents: &[&str], key: &str) -> Option<&'static str> {
    let is_health = |parent: &&str| OF_HEALTH.iter().any(|word| compact(parent).contains(word));
    if parents.iter().any(is_health) {
        return None;
    }
    let own = compact(key.rsplit(['/', '.']).next().unwrap_or(key));
    let bare = ["with", "set", "default", "agent"].iter().find_map(|head| own.strip_prefix(head));
    let mut names = vec![own.clone()];
    names.extend(bare.map(str::to_owned));
    let mut name = own;
    for parent in parents.iter().rev().take(2) {
        name.insert_str(0, &compact(parent));
        names.push(name.clone());
    }
    // A longer name says more: `per_run.steps` before `steps`.
    names.iter().rev().find_map(|name| TOPICS.get(name).copied())
}

pub(super) fn lines(path: &str, text: &str) -> Vec<Setting> {
    let is_comment = |line: &str| ["#", "//", "*", "/*", ";", "--", "<!--"].iter().any(|mark| line.starts_with(mark));
    text.lines()
        .enumerate()
        .filter(|(_, line)| !is_comment(line.trim_start()))
        .flat_map(|(at, line)| assignments(path, at + 1, line, &[]))
        .collect()
}

fn assignments(path: &str, line: usize, text: &str, parents: &[&str]) -> Vec<Setting> {
    // What a parameter is when the caller leaves it out is no setting yet.
    let declares = ["def ", "async def ", "function "].iter().any(|word| text.trim_start().starts_with(word));
    // A word may be the key of the next one: `Client(timeout=None)`.
    let next = |at: usize| WORDS.captures_at(text, at);
    let after = |found: &regex::Captures<'_>| found.get(2).map_or(text.len(), |value| value.start());
    let words = std::iter::successors(next(0), |found| next(after(found)));
    let found = NUMBERS.captures_iter(text).chain(words);
    found
        .filter_map(|found| {
            let (key, value) = (found.get(1)?.as_str(), found.get(2)?.as_str());
            if declares && ENDLESS.contains(&value) {
                return None;
            }
            setting(path, line, (parents, key), value.trim(), text)
        })
        .collect()
}

fn setting(path: &str, line: usize, (parents, key): (&[&str], &str), value: &str, around: &str) -> Option<Setting> {
    let topic = topic(parents, key)?;
    let number = number(topic, (path, key), value);
    // A number beside it is a delay, and no word for how it grows; only Celery's factor is.
    if topic == "backoff" && number.is_some() && !is_factor(key) {
        return None;
    }
    let worded = matches!(topic, "backoff" | "on-exceed") || topic.starts_with("trace-");
    // A name instead of a number leads elsewhere; what it stands for is not followed.
    (number.is_some() || worded).then(|| Setting {
        topic,
        path: path.to_owned(),
        line,
        key: key.to_owned(),
        text: crate::text::shortened(value, 60),
        number,
        around: format!("{path} {} {around}", parents.join(" ")),
    })
}

fn is_factor(key: &str) -> bool {
    compact(key.rsplit(['/', '.']).next().unwrap_or(key)).ends_with("retrybackoff")
}

/// Words for a call that may take for ever.
const ENDLESS: [&str; 7] = ["None", "null", "nil", "undefined", "false", "Infinity", "never"];

fn number(topic: &str, (path, key): (&str, &str), value: &str) -> Option<f64> {
    if topic == "timeout" && ENDLESS.contains(&value) {
        return Some(f64::INFINITY);
    }
    let value: String = value.chars().filter(|c| !matches!(c, '_' | ',' | '$' | ' ')).collect();
    let split = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (digits, unit) = value.split_at_checked(split)?;
    let plain: f64 = digits.parse().ok()?;
    let per = |unit: &str| match unit.trim_start_matches('r') {
        "/s" | "/sec" | "/second" => Some(1.0),
        "/m" | "/min" | "/minute" => Some(60.0),
        "/h" | "/hour" => Some(3600.0),
        "/d" | "/day" => Some(86_400.0),
        _ => None,
    };
    let of_node = matches!(extension(path), "js" | "mjs" | "ts" | "tsx") && compact(key) == "timeout";
    match (topic, unit) {
        // Clients take nothing for no limit.
        ("timeout", _) if plain == 0.0 => Some(f64::INFINITY),
        ("timeout", "") if compact(key).ends_with("ms") || of_node && plain >= 1000.0 => Some(plain / 1000.0),
        ("rate", "") if key.rsplit(['/', '.']).next() == Some("rate") => None,
        ("timeout", unit) if !unit.is_empty() => parse_duration(&value).map(|time| time.as_secs_f64()),
        ("rate", unit) if !unit.is_empty() => per(unit).map(|seconds| plain / seconds),
        _ => Some(plain),
    }
}

fn configured(path: &str, file: SourceFile) -> Vec<Setting> {
    let text = file.text().to_owned();
    if !["yaml", "yml", "json", "toml"].contains(&extension(path)) {
        return lines(path, &text);
    }
    if let Some(found) = document(path, file, 0) {
        return found;
    }
    // Several documents in one file; what is no YAML, such as a template, line by line then.
    let mut above = 0;
    let mut found = Vec::new();
    for piece in text.split("\n---") {
        let read = document(path, SourceFile::new(path, piece), above);
        found.extend(read.unwrap_or_else(|| {
            let mut found = lines(path, piece);
            for setting in &mut found {
                setting.line += above;
            }
            found
        }));
        above += piece.matches('\n').count() + 1;
    }
    found
}

/// The settings of one document, which begins below so many lines of its file.
fn document(path: &str, file: SourceFile, above: usize) -> Option<Vec<Setting>> {
    let loaded = load_text::<Value>(file).ok()?;
    let line = |route: &Route| loaded.document.locate(route).line + above;
    let mut leaves = Leaves { path, line: &line, found: Vec::new() };
    leaves.walk(&loaded.value, &Route::root(), &mut Vec::new());
    Some(leaves.found)
}

struct Leaves<'a> {
    path: &'a str,
    line: &'a dyn Fn(&Route) -> usize,
    found: Vec<Setting>,
}

impl Leaves<'_> {
    fn walk<'v>(&mut self, value: &'v Value, route: &Route, parents: &mut Vec<&'v str>) {
        if parents.len() > MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(map) => {
                // Environment lists of Kubernetes: {name: KEY, value: text}.
                if let (Some(Value::String(name)), Some(value)) = (map.get("name"), map.get("value")) {
                    self.leaf(name, value, route, parents);
                }
                for (key, value) in map {
                    let route = route.join(key.as_str());
                    self.leaf(key, value, &route, parents);
                    parents.push(key);
                    self.walk(value, &route, parents);
                    parents.pop();
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let route = route.join(at);
                    if let Value::String(text) = item
                        && text.contains('=')
                    {
                        self.found.extend(assignments(self.path, (self.line)(&route), text, parents));
                    }
                    self.walk(item, &route, parents);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn leaf(&mut self, key: &str, value: &Value, route: &Route, parents: &[&str]) {
        let topic = topic(parents, key);
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null if topic == Some("timeout") => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return,
        };
        if topic.is_some() {
            self.found.extend(setting(self.path, (self.line)(route), (parents, key), &text, ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Setting, configured, is_evidence, lines};
    use crate::source::SourceFile;

    fn short(settings: &[Setting]) -> Vec<(&'static str, usize, Option<f64>)> {
        settings.iter().map(|s| (s.topic, s.line, s.number)).collect()
    }

    #[test]
    fn code_sets_limits_in_many_ways() {
        for (line, expected) in [
            ("result = Runner.run(agent, max_turns=20)", Some(("steps", Some(20.0)))),
            ("const MAX_STEPS: u64 = 1_000;", Some(("steps", Some(1000.0)))),
            ("graph.invoke(state, {\"recursion_limit\": 50})", Some(("steps", Some(50.0)))),
            ("stopWhen: stepCountIs(20),", Some(("steps", Some(20.0)))),
            ("usage_limits=UsageLimits(request_limit=15)", Some(("model-calls", Some(15.0)))),
            ("client = Anthropic(timeout=10, max_retries=2)", Some(("timeout", Some(10.0)))),
            ("requestTimeoutMs: 500,", Some(("timeout", Some(0.5)))),
            ("  .withMaxRetries(3)", Some(("retries", Some(3.0)))),
            ("breaker = CircuitBreaker(fail_max=5)", Some(("breaker", Some(5.0)))),
            ("options = ClaudeAgentOptions(max_budget_usd=0.40)", Some(("spend", Some(0.4)))),
            ("backoff: exponential-jitter", Some(("backoff", None))),
            ("# max_turns = 20", None),
            ("if max_turns == 20:", None),
            ("max_turns = settings.turns", None),
            ("rate = 0.19", None),
            ("requests_per_second = 5", Some(("rate", Some(5.0)))),
            ("httpx.Client(timeout=None)", Some(("timeout", Some(f64::INFINITY)))),
            ("def get(url, timeout=None):", None),
            ("timeout = 0", Some(("timeout", Some(f64::INFINITY)))),
            ("timeout = 10000", Some(("timeout", Some(10_000.0)))),
            ("minimum_turns = 20", None),
        ] {
            let found = lines("agent.py", line);
            assert_eq!(found.first().map(|s| (s.topic, s.number)), expected, "{line}");
        }
    }

    #[test]
    fn whether_a_process_is_alive_is_no_limit_of_calls() {
        let probe = "kind: Deployment\nspec:\n  livenessProbe: {failureThreshold: 3, timeoutSeconds: 1}\n";
        let compose = "services: {a: {healthcheck: {timeout: 5s, retries: 3}}}\n";
        let several = format!("kind: Service\n---\n{probe}---\nclient: {{timeout: 5s}}\n");
        for (text, expected) in [(probe, vec![]), (compose, vec![]), (&several, vec![("timeout", 7, Some(5.0))])] {
            assert_eq!(short(&configured("k.yaml", SourceFile::new("k.yaml", text))), expected, "{text}");
        }
        let node = lines("client.ts", "axios.create({timeout: 10000}); fetch(url, {timeout: 30})");
        assert_eq!(node.iter().map(|s| s.number).collect::<Vec<_>>(), [Some(10.0), Some(30.0)]);
    }

    #[test]
    fn configuration_is_read_with_the_parents_of_a_key() {
        let text = "budgets:\n  per_day: {tool_calls: 20000}\n  per_run:\n    steps: 20\nsteps: 3\nenv:\n  \
                    - OTEL_TRACES_SAMPLER=always_on\n  - {name: OTEL_SDK_DISABLED, value: \"false\"}\n\
                    stripe: {timeout: 15s, rate: 10/s}\nlimit: {rate: 30r/m}\n";
        let found = configured("config/limits.yaml", SourceFile::new("limits.yaml", text));
        assert_eq!(
            short(&found),
            [
                ("tool-calls/day", 2, Some(20000.0)),
                ("steps", 4, Some(20.0)),
                ("trace-sampler", 7, None),
                ("trace-disabled", 8, None),
                ("timeout", 9, Some(15.0)),
                ("rate", 9, Some(10.0)),
                ("rate", 10, Some(0.5)),
            ]
        );
        assert!(found.iter().any(|s| s.names("stripe") && s.topic == "timeout"));
        assert!(!found.iter().any(|s| s.names("shop")));
        let several = "a: 1\n---\nmax_retries: 2\n";
        assert_eq!(short(&configured("k.yaml", SourceFile::new("k.yaml", several))), [("retries", 3, Some(2.0))]);
    }

    #[test]
    fn claims_tests_and_vendored_code_are_no_evidence() {
        for (name, expected) in [
            ("agent.py", true),
            (".github/workflows/deploy.yaml", true),
            ("config/limits.yaml", true),
            (".env.example", true),
            ("agentready.yaml", false),
            ("tests/conftest.py", false),
            ("src/agent_test.go", false),
            ("vendor/x/y.go", false),
            (".venv/lib/a.py", false),
            ("package-lock.json", false),
        ] {
            assert_eq!(is_evidence(name), expected, "{name}");
        }
    }
}

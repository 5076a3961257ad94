//! What the gate costs, as ratios taken in one run: `cargo bench --bench run`.
//!
//! An agent that answers after a set time is served from this process, and the release binary is run against it.
//! Ends with 1 when a goal is missed. What needs `/proc` is not measured on systems without it.

mod bare;
mod command;
mod material;
mod stub;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use command::{Cost, cost, median};
use stub::{Served, Stub};

const PROGRAM: &str = env!("CARGO_BIN_EXE_agentready");
/// Trials in flight.
const CONCURRENCY: u32 = 100;

/// One row of the table.
struct Figure {
    name: String,
    measured: Option<f64>,
    goal: Option<f64>,
    unit: &'static str,
}

impl Figure {
    fn new(name: impl Into<String>, measured: impl Into<Option<f64>>, goal: f64, unit: &'static str) -> Self {
        Self { name: name.into(), measured: measured.into(), goal: Some(goal), unit }
    }

    /// A number to read beside the others.
    fn beside(name: impl Into<String>, measured: f64, unit: &'static str) -> Self {
        Self { name: name.into(), measured: Some(measured), goal: None, unit }
    }

    fn is_missed(&self) -> bool {
        self.measured.zip(self.goal).is_some_and(|(measured, goal)| measured > goal)
    }

    fn row(&self) -> String {
        let Self { name, unit, .. } = self;
        let measured = self.measured.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.3} {unit}"));
        let goal = self.goal.map_or_else(|| "-".to_owned(), |goal| format!("<= {goal} {unit}"));
        let ok = match (self.measured, self.goal) {
            (Some(_), Some(_)) if self.is_missed() => "MISSED",
            (Some(_), Some(_)) => "yes",
            _ => "-",
        };
        format!("{name:<58} | {measured:>14} | {goal:>12} | {ok}")
    }
}

/// A folder with a manifest and scenarios, and the stub behind it.
struct Site<'a> {
    folder: PathBuf,
    stub: &'a Stub,
}

impl<'a> Site<'a> {
    fn new(root: &Path, name: &str, stub: &'a Stub, (scenarios, rate): (usize, Option<u32>)) -> Self {
        let folder = root.join(name);
        fs::create_dir_all(folder.join("golden")).expect("a scratch folder");
        fs::write(folder.join("agentready.yaml"), material::small(&stub.url, rate)).expect("a manifest");
        for first in (0..scenarios).step_by(1000) {
            let text = material::scenarios(first, (scenarios - first).min(1000));
            fs::write(folder.join(format!("golden/{first}.yaml")), text).expect("scenarios");
        }
        Self { folder, stub }
    }

    /// Checks with this many trials of each scenario.
    fn check(&self, trials: u32, (delay, accepts): (u64, Option<f64>)) -> (Cost, Served) {
        self.stub.set(Duration::from_millis(delay), accepts);
        let (concurrency, trials) = (CONCURRENCY.to_string(), trials.to_string());
        let flags =
            ["check", "--no-progress", "--offline", "--format", "json=report.json", "--format", "junit=report.xml"];
        let sizes = ["--concurrency", &concurrency, "--trials", &trials];
        let args: Vec<&str> = flags.into_iter().chain(sizes).collect();
        let cost = cost(PROGRAM, &self.folder, &args);
        (cost, self.stub.served())
    }
}

fn main() -> ExitCode {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let stub = Stub::start();
    let sections: [fn(&Path, &Stub) -> Vec<Figure>; 7] =
        [starts, latency_bound, cpu, memory, rates, gateway, gateway_memory];
    let mut missed = false;
    for section in sections {
        for figure in section(scratch.path(), &stub) {
            missed |= figure.is_missed();
            writeln!(std::io::stdout().lock(), "{}", figure.row()).expect("standard output");
        }
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Short commands, against the start of a program that does nothing.
fn starts(root: &Path, _: &Stub) -> Vec<Figure> {
    let folder = root.join("tools");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo"), &folder);
    fs::create_dir_all(folder.join("golden")).expect("a scratch folder");
    fs::write(folder.join("agentready.yaml"), material::manifest(500)).expect("a manifest");
    fs::write(folder.join("golden/few.yaml"), material::scenarios(0, 20)).expect("scenarios");
    let nothing = median(31, "true", root, &[]);
    let beyond = |times, args: &[&str]| millis(median(times, PROGRAM, &folder, args).saturating_sub(nothing));
    let size = fs::metadata(PROGRAM).expect("the program").len() >> 10;
    let size = f64::from(u32::try_from(size).expect("a program below 4 TiB")) / 1024.0;
    vec![
        Figure::new("`--version` beyond `true`", beyond(31, &["--version"]), 5.0, "ms"),
        Figure::new("`explain` beyond `true`", beyond(31, &["explain", "scope/tool-inventory"]), 5.0, "ms"),
        Figure::new("`check --static`, 500 tools, beyond `true`", beyond(15, &["check", "--static"]), 60.0, "ms"),
        Figure::new("size of the program", size, 25.0, "MiB"),
    ]
}

/// Trials that wait for the agent: wall time against what the agent alone needed.
fn latency_bound(root: &Path, stub: &Stub) -> Vec<Figure> {
    [(1_000, 1.08), (10_000, 1.03)]
        .into_iter()
        .flat_map(|(count, goal)| {
            let site = Site::new(root, &format!("wait-{count}"), stub, (count, None));
            let (cost, served) = site.check(1, (50, None));
            let rounds = u32::try_from(count).expect("a small count").div_ceil(CONCURRENCY);
            let ideal = served.mean() * rounds;
            let name = format!("{count} trials at 50 ms, 100 in flight");
            [
                Figure::new(format!("{name}: trials / ideal"), ratio(served.span(), ideal), goal, ""),
                Figure::beside(format!("{name}: whole command / ideal"), ratio(cost.wall, ideal), ""),
                Figure::beside(
                    format!("{name}: loading, judging, reports"),
                    millis(cost.wall.saturating_sub(served.span())),
                    "ms",
                ),
            ]
        })
        .collect()
}

/// CPU of one more trial against a bare loop over the same client.
fn cpu(root: &Path, stub: &Stub) -> Vec<Figure> {
    const MORE: u32 = 20;
    let site = Site::new(root, "cpu", stub, (1_000, None));
    let per_trial = |(few, many): (Cost, Cost)| Some((many.cpu?.saturating_sub(few.cpu?)) / ((MORE - 1) * 1000));
    let gate = per_trial((site.check(1, (0, None)).0, site.check(MORE, (0, None)).0));
    stub.set(Duration::ZERO, None);
    let bare = bare::cpu_per_request(&stub.url, CONCURRENCY, MORE * 1000);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let mut figures =
        vec![Figure::new("CPU per trial / bare loop", gate.zip(bare).map(|(gate, bare)| ratio(gate, bare)), 3.0, "")];
    figures.extend(gate.map(|gate| Figure::beside("CPU per trial", micros(gate), "us")));
    figures.extend(bare.map(|bare| Figure::beside("CPU per request of the bare loop", micros(bare), "us")));
    figures
}

/// Peak memory of 1,000 against 100,000 trials of the same scenarios.
fn memory(root: &Path, stub: &Stub) -> Vec<Figure> {
    let site = Site::new(root, "memory", stub, (1_000, None));
    let mib = |trials| {
        let kib = site.check(trials, (0, None)).0.peak_kib?;
        Some(f64::from(u32::try_from(kib).ok()?) / 1024.0)
    };
    let (few, many) = (mib(1), mib(100));
    let mut figures = vec![Figure::new(
        "peak memory, 100,000 trials beyond 1,000",
        few.zip(many).map(|(few, many)| many - few),
        6.0,
        "MiB",
    )];
    figures.extend(few.map(|few| Figure::beside("peak memory, 1,000 trials", few, "MiB")));
    figures
}

/// A rate limited agent: time of the trials against count by rate.
fn rates(root: &Path, stub: &Stub) -> Vec<Figure> {
    const RATE: u32 = 200;
    const TRIALS: u32 = 400;
    let ideal = Duration::from_secs_f64(f64::from(TRIALS) / f64::from(RATE));
    [("declared", Some(RATE), None, 1.03), ("found out", None, Some(f64::from(RATE)), 1.12)]
        .into_iter()
        .map(|(name, declared, accepts, goal)| {
            let count = usize::try_from(TRIALS).expect("a small count");
            let site = Site::new(root, name, stub, (count, declared));
            let (_, served) = site.check(1, (0, accepts));
            Figure::new(
                format!("{TRIALS} trials at {RATE}/s, {name}: trials / ideal"),
                ratio(served.span(), ideal),
                goal,
                "",
            )
        })
        .collect()
}

/// One call through the tool gateway.
fn gateway(_: &Path, _: &Stub) -> Vec<Figure> {
    let call = runtime().block_on(bare::tool_call());
    vec![Figure::new("one tool call through the gateway, median", millis(call), 0.5, "ms")]
}

/// Trials with five tool calls each at one gateway: peak memory of 1,000 of them beyond 100.
fn gateway_memory(_: &Path, _: &Stub) -> Vec<Figure> {
    const CALLS: u32 = 5;
    let grown = runtime().block_on(bare::grown_by(100, 900, CALLS)).map(|kib| kib / 1024.0);
    vec![Figure::new("peak memory, 1,000 trials of 5 tool calls beyond 100", grown, 2.0, "MiB")]
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a scratch folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, target).expect("a copy");
        }
    }
}

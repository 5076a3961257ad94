//! Runs a command and says what it cost.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What one command cost. Times and memory of the process come from `/proc` and are missing elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Option<Duration>,
    pub(crate) peak_kib: Option<u64>,
}

/// Ticks per second in `/proc/<pid>/stat`; the same on every Linux that Rust supports (`man 5 proc`).
const TICKS: u64 = 100;

/// Runs to the end; an exit code that is no verdict (2, 4 and above) ends the benchmark.
pub(crate) fn cost(program: &str, folder: &Path, args: &[&str]) -> Cost {
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program is there");
    let process = format!("/proc/{}", child.id());
    let status = format!("{process}/status");
    let peak = thread::spawn(move || {
        let mut peak = None;
        while let Some(kib) = fs::read_to_string(&status).ok().as_deref().and_then(high_water) {
            peak = Some(kib);
            thread::sleep(Duration::from_millis(10));
        }
        peak
    });
    let mut output = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut output).expect("what it prints");
    let wall = began.elapsed();
    // Not waited for yet, so its entry in `/proc` is still there.
    let cpu = fs::read_to_string(format!("{process}/stat")).ok().as_deref().and_then(ticks);
    let code = child.wait().expect("its end").code();
    assert!(matches!(code, Some(0 | 1 | 3)), "{program} {args:?} ended with {code:?}");
    Cost {
        wall,
        cpu: cpu.map(|ticks| Duration::from_millis(ticks * 1000 / TICKS)),
        peak_kib: peak.join().expect("the reader of its memory"),
    }
}

/// The middle wall time of several runs.
pub(crate) fn median(times: u32, program: &str, folder: &Path, args: &[&str]) -> Duration {
    middle((0..times).map(|_| cost(program, folder, args).wall).collect())
}

/// The middle of several times.
pub(crate) fn middle(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    *all.get(all.len() / 2).expect("at least one")
}

/// CPU time of this thread.
pub(crate) fn own_cpu() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The most memory that this process had so far.
pub(crate) fn own_peak_kib() -> Option<u64> {
    high_water(&fs::read_to_string("/proc/self/status").ok()?)
}

fn high_water(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

/// User and system time together (fields 14 and 15), after the name in parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let fields = stat.rsplit_once(") ")?.1;
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().ok()).sum()
}

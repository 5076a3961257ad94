use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{Moment, Progress};
use crate::{grade::Grade, run::RunEvent};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shown(moments: impl IntoIterator<Item = (u64, RunEvent)>) -> String {
    let out = Shared::default();
    let mut progress = Progress::lines_to(Box::new(out.clone()));
    for (ms, event) in moments {
        progress.show(&Moment { at: Duration::from_millis(ms), event });
    }
    let bytes = out.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn finished(done: u64, planned: u64, grade: Grade) -> RunEvent {
    RunEvent::TrialFinished { done, planned, grade, scenario: "a".to_owned() }
}

#[test]
fn a_fast_run_writes_a_line_per_tenth() {
    let trials = (1..=1000).map(|n| (n, finished(n, 1000, if n == 300 { Grade::FailC } else { Grade::Pass })));
    let begin = [(0, RunEvent::Started { planned: 1000, concurrency: 8 })];
    insta::assert_snapshot!(shown(begin.into_iter().chain(trials).chain([(1000, RunEvent::Finished)])));
}

#[test]
fn a_slow_run_writes_a_line_every_five_seconds() {
    let trials = (1..=30).map(|n| (n * 1000, finished(n, 10_000, Grade::ErrorInfra)));
    let out = shown(trials);
    assert_eq!(out.lines().count(), 6, "{out}");
}

#[test]
fn foreign_text_is_never_written_raw() {
    let out = shown([
        (0, RunEvent::Note("::error::x\u{1b}[2J\n##[group]y".to_owned())),
        (0, RunEvent::Waiting { for_: Duration::from_secs(2), why: "429\n::stop-commands::t".to_owned() }),
        (0, RunEvent::Waiting { for_: Duration::from_millis(10), why: "not worth a line".to_owned() }),
        (0, RunEvent::Finished),
    ]);
    insta::assert_snapshot!(out);
    assert!(!out.contains('\u{1b}') && !out.contains("::") && !out.contains("##"));
}

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse as _, routing::post};
use serde_json::json;
use tokio::time::Instant;

use super::{Bounds, Cancel, CancelReason, Course, Limits, Pace, Reach, RunEvent, Stage, Summary, execute};
use crate::{
    agent::{Place, adapter},
    manifest::endpoint::Endpoint,
    plan::{Plan, Selection, plan},
    record::{End, Prices, TrialRecord},
    scenario,
    source::Files,
    standin::{Gateway, Inventory},
    world::World,
};

type Behaviour = fn(u32) -> axum::response::Response;

/// An agent that answers its n-th request as the behaviour says.
async fn stub(behaviour: Behaviour) -> (String, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let app =
        Router::new()
            .route(
                "/",
                post(move |State(count): State<Arc<AtomicU32>>| async move {
                    behaviour(count.fetch_add(1, Ordering::SeqCst))
                }),
            )
            .with_state(Arc::clone(&count));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, count)
}

fn answer() -> axum::response::Response {
    Json(json!({"answer": "done", "usage": {"usd": 1.0}})).into_response()
}

fn a_plan(scenarios: usize) -> Plan {
    let mut text = "suite: golden\nscenarios:\n".to_owned();
    for n in 0..scenarios {
        let _ = writeln!(text, "  g-{n:04}: {{say: hello {n}, expect: [{{answer: {{contains: [done]}}}}]}}");
    }
    let files = Files::texts([("g.yaml".to_owned(), text.into())].into());
    let scenarios = scenario::load(&files, &["g.yaml".to_owned()]).expect("scenarios");
    plan(scenarios, &Selection::default(), 1).expect("a plan")
}

struct Setup {
    url: String,
    scenarios: usize,
    concurrency: u32,
    bounds: Bounds,
    cancel: Cancel,
}

impl Setup {
    fn new(url: String, scenarios: usize) -> Self {
        Self { url, scenarios, concurrency: 4, bounds: Bounds::default(), cancel: Cancel::default() }
    }

    async fn run(&self, mut each: impl FnMut(&TrialRecord)) -> (Vec<TrialRecord>, Summary) {
        let endpoint: Endpoint =
            serde_json::from_value(json!({"url": self.url, "timeout": "2s", "response": {"usage": "body.usage"}}))
                .expect("an endpoint");
        let adapter = adapter(&endpoint, &BTreeMap::new(), &Place::default()).expect("an adapter");
        let gateway = Arc::new(Gateway::start(Inventory::default()).await.expect("a gateway"));
        let pace = Pace::new(None);
        let events = |_: RunEvent| {};
        let limits = Limits { trial: Duration::from_secs(5), retries: 2, patience: Duration::from_secs(3) };
        let stage = Stage {
            header: None,
            adapter: &adapter,
            gateway: &gateway,
            run_id: "r",
            reach: Reach::Url,
            model: None,
            is_probe: false,
            is_traced: false,
            pace: &pace,
            limits,
            cancel: &self.cancel,
            events: &events,
        };
        let plan = a_plan(self.scenarios);
        let worlds = vec![World::empty(); plan.scenarios.len()];
        let todo = plan.trials.clone();
        let course = Course {
            plan: &plan,
            worlds: &worlds,
            todo,
            concurrency: self.concurrency,
            bounds: self.bounds,
            prices: &Prices::default(),
        };
        let seen = RefCell::new(Vec::new());
        let summary = execute(std::slice::from_ref(&stage), &course, &mut |record| {
            each(&record);
            seen.borrow_mut().push(record);
            Ok(())
        })
        .await;
        (seen.into_inner(), summary)
    }
}

#[tokio::test]
async fn every_trial_is_run_once_and_recorded() {
    let (url, asked) = stub(|_| answer()).await;
    let (mut records, summary) = Setup::new(url, 25).run(|_| {}).await;
    records.sort_by_key(|record| record.index);
    assert_eq!(records.iter().map(|record| record.index).collect::<Vec<_>>(), (0..25).collect::<Vec<_>>());
    assert!(records.iter().all(|record| record.end == End::Completed && record.attempts == 1));
    assert_eq!((asked.load(Ordering::SeqCst), summary.stopped), (25, None));
}

#[tokio::test]
async fn a_refused_request_waits_and_is_asked_again() {
    let (url, _) = stub(|n| {
        if n % 3 == 0 { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response() } else { answer() }
    })
    .await;
    let (records, _) = Setup::new(url, 12).run(|_| {}).await;
    assert!(records.iter().all(|record| record.end == End::Completed), "{records:#?}");
    assert!(records.iter().any(|record| record.attempts > 1));
}

#[tokio::test]
async fn an_agent_that_stays_rate_limited_is_an_error_of_the_way_not_of_the_agent() {
    let (url, _) = stub(|_| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "60")]).into_response()).await;
    let (records, _) = Setup::new(url, 1).run(|_| {}).await;
    assert!(matches!(records[0].end, End::InfraError { .. }), "{:?}", records[0].end);
}

#[tokio::test]
async fn a_failing_agent_is_not_asked_again() {
    let (url, asked) = stub(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()).await;
    let (records, _) = Setup::new(url, 3).run(|_| {}).await;
    assert!(records.iter().all(|record| matches!(record.end, End::AgentError { .. })));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_dead_port_is_tried_again_and_then_an_error() {
    let (records, _) = Setup::new("http://127.0.0.1:9/".to_owned(), 1).run(|_| {}).await;
    assert!(matches!(records[0].end, End::InfraError { .. }));
    assert_eq!(records[0].attempts, 3);
}

#[tokio::test]
async fn money_and_time_end_a_run_early() {
    let (url, _) = stub(|_| answer()).await;
    let spend =
        Setup { bounds: Bounds { max_spend: Some(5.0), max_duration: None }, concurrency: 1, ..Setup::new(url, 50) };
    let (records, summary) = spend.run(|_| {}).await;
    assert_eq!((records.len(), summary.stopped), (5, Some(CancelReason::MaxSpend)));
    let (url, _) = stub(|_| {
        std::thread::sleep(Duration::from_millis(30));
        answer()
    })
    .await;
    let limit = Some(Duration::from_millis(200));
    let time =
        Setup { bounds: Bounds { max_duration: limit, max_spend: None }, concurrency: 1, ..Setup::new(url, 500) };
    let (records, summary) = time.run(|_| {}).await;
    assert!(records.len() < 100, "{}", records.len());
    assert_eq!(summary.stopped, Some(CancelReason::MaxDuration));
}

#[tokio::test]
async fn the_first_interrupt_lets_trials_in_flight_finish() {
    let (url, _) = stub(|_| answer()).await;
    let setup = Setup::new(url, 100);
    let cancel = setup.cancel.clone();
    let (records, summary) = setup.run(|_| cancel.throw(CancelReason::Interrupted)).await;
    assert!(records.len() < 10, "{}", records.len());
    assert!(records.iter().all(|record| record.end == End::Completed));
    assert_eq!(summary.stopped, Some(CancelReason::Interrupted));
}

#[tokio::test]
async fn a_stronger_reason_replaces_a_weaker_one() {
    let cancel = Cancel::default();
    assert_eq!(cancel.reason(), None);
    cancel.throw(CancelReason::Interrupted);
    cancel.throw(CancelReason::MaxSpend);
    assert_eq!(cancel.reason(), Some(CancelReason::Interrupted));
    cancel.kill();
    tokio::time::timeout(Duration::from_secs(1), cancel.killed()).await.expect("killed at once");
}

#[tokio::test(start_paused = true)]
async fn a_declared_rate_is_kept() {
    let pace = Pace::new(Some(10.0));
    let began = Instant::now();
    for _ in 0..21 {
        pace.turn().await;
    }
    let took = began.elapsed().as_secs_f64();
    assert!((1.95..2.1).contains(&took), "20 pauses of 100 ms took {took}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_rate_is_found_from_what_is_accepted() {
    let pace = Pace::new(None);
    pace.refused();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        pace.accepted();
    }
    let began = Instant::now();
    for _ in 0..21 {
        pace.turn().await;
    }
    let rate = 20.0 / began.elapsed().as_secs_f64();
    assert!((17.0..22.0).contains(&rate), "the server took 20 a second, the pace is {rate}");
}

//! The same client without the gate around it.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use agentready::{
    source::Files,
    standin::{Gateway, Inventory, Token},
    world::{self, Play, World},
};
use serde_json::{Value, json};

use crate::{command, runtime};

/// CPU of this thread for one request: body made, sent, answer read as JSON.
pub(crate) fn cpu_per_request(url: &str, workers: u32, requests: u32) -> Option<Duration> {
    let client = client();
    let began = command::own_cpu()?;
    runtime().block_on(async {
        let left = Cell::new(requests);
        let worker = || async {
            while let Some(rest) = left.get().checked_sub(1) {
                left.set(rest);
                let body = json!({"message": format!("What is the status of record {rest}?"), "session": format!("record-{rest}#0")});
                let answer: Value =
                    client.post(url).json(&body).send().await.expect("an answer").json().await.expect("JSON");
                assert!(answer.get("answer").is_some());
            }
        };
        futures_util::future::join_all((0..workers).map(|_| worker())).await;
    });
    Some(command::own_cpu()?.saturating_sub(began) / requests)
}

/// A gateway, and a world with one tool that reads.
async fn stage() -> (Gateway, Arc<World>) {
    let text = "state: {records: {r1: {status: open}}}\n\
                tools:\n  get_record:\n    about: Reads a record.\n    \
                input: {type: object, required: [id], properties: {id: {type: string}}}\n    \
                requires: [{that: args.id in state.records, otherwise: no such record}]\n    \
                returns: state.records[args.id]\n";
    let files = Files::texts([("world.yaml".to_owned(), text.into())].into());
    let world = world::load(&files, "world.yaml").expect("a world");
    (Gateway::start(Inventory::default()).await.expect("a gateway"), world)
}

/// By how many KiB the peak memory of this process grows with `more` trials of so many tool calls after the `first`; nothing
/// where the system does not tell.
pub(crate) async fn grown_by(first: u32, more: u32, calls: u32) -> Option<f64> {
    let (gateway, world) = stage().await;
    let client = client();
    let play = |trials: u32| {
        let (gateway, world, client) = (&gateway, &world, &client);
        async move {
            for _ in 0..trials {
                let token = Token::random();
                gateway.open(&token, None, Play::new(Arc::clone(world), &BTreeMap::new()).expect("a play"));
                let url = format!("{}/get_record", gateway.tools_url(&token));
                for _ in 0..calls {
                    let answer = client.post(&url).json(&json!({"id": "r1"})).send().await.expect("an answer");
                    let _: Value = answer.json().await.expect("JSON");
                }
                let ledger = gateway.close(&token).ledger;
                assert_eq!(ledger.len(), usize::try_from(calls).expect("a small count"));
            }
        }
    };
    play(first).await;
    let before = command::own_peak_kib()?;
    play(more).await;
    let kib = command::own_peak_kib()?.saturating_sub(before);
    Some(f64::from(u32::try_from(kib).ok()?))
}

/// The middle time of one tool call after another.
pub(crate) async fn tool_call() -> Duration {
    let (gateway, world) = stage().await;
    let token = Token::random();
    gateway.open(&token, None, Play::new(Arc::clone(&world), &BTreeMap::new()).expect("a play"));
    let url = format!("{}/get_record", gateway.tools_url(&token));
    let client = client();
    let mut all = Vec::new();
    for _ in 0..900 {
        let began = Instant::now();
        let answer = client.post(&url).json(&json!({"id": "r1"})).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        all.push(began.elapsed());
        assert_eq!(answer.pointer("/result/status"), Some(&json!("open")));
    }
    command::middle(all)
}

fn client() -> reqwest::Client {
    // Fails when a provider is installed already, which is as good.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().http1_only().tcp_nodelay(true).no_proxy().tls_certs_only([]);
    builder.build().expect("a client")
}

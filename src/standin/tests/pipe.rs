//! A server of staging over stdio: answers find their calls, both eras are spoken, and one that is gone answers nothing.

use std::time::Duration;

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

use super::{Gateway, Inventory, Token, play, post};
use crate::{
    record::{
        Call,
        CallStatus::{Attempted, Executed},
        Passage,
    },
    standin::{Behind, Exit, Place, Relays, Staging, Stdio},
};

struct Dead;

impl Behind for Dead {
    fn ended(&self) -> BoxFuture<'_, String> {
        async { "ended (exit status: 3): no more disk".to_owned() }.boxed()
    }
}

const NAMES: [&str; 5] = ["echo", "ask", "hang", "die", "flood"];

/// A server that speaks one era, answers calls of `echo` two by two and the later one first, and asks its client for things.
async fn serve(is_new: bool, stream: DuplexStream) {
    let (output, mut input) = tokio::io::split(stream);
    let mut lines = BufReader::new(output).lines();
    let mut held: Option<Value> = None;
    let mut is_ready = is_new;
    let mut said = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let ask: Value = serde_json::from_str(&line).expect("a message");
        let answer = |body: Value| {
            let mut answer = body;
            (answer["jsonrpc"], answer["id"]) = (json!("2.0"), ask["id"].clone());
            answer
        };
        let name = ask["params"]["name"].as_str().unwrap_or_default();
        match ask["method"].as_str() {
            // What the gate says to the two things that it is asked below.
            None => {
                said.push(if ask.get("error").is_some() {
                    ask["error"]["code"].clone()
                } else {
                    ask["result"].clone()
                });
                if said.len() == 2 {
                    let text = Value::Array(std::mem::take(&mut said)).to_string();
                    let mut call = held.take().expect("the call that waits");
                    call["result"]["content"][0]["text"] = json!(text);
                    send(&mut input, &[call]).await;
                }
            }
            Some("server/discover") if is_new => {
                send(&mut input, &[answer(json!({"result": {"supportedVersions": ["2026-07-28"]}}))]).await;
            }
            Some("initialize") if !is_new => {
                let hello = json!({"result": {"protocolVersion": ask["params"]["protocolVersion"]}});
                send(&mut input, &[answer(hello)]).await;
            }
            Some("notifications/initialized") => is_ready = true,
            Some("tools/list") if is_ready => {
                let tools = NAMES.map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
                send(&mut input, &[json!("not of the protocol"), answer(json!({"result": {"tools": tools}}))]).await;
            }
            Some("tools/call") if is_ready && name == "echo" => {
                let text = ask["params"]["arguments"]["text"].clone();
                let own = answer(json!({"result": {"content": [{"type": "text", "text": text}]}}));
                match held.take() {
                    Some(first) => send(&mut input, &[own, first]).await,
                    None => held = Some(own),
                }
            }
            Some("tools/call") if name == "ask" => {
                held = Some(answer(json!({"result": {"content": [{"type": "text", "text": ""}]}})));
                let asked = [("p", "ping"), ("s", "sampling/createMessage")];
                send(&mut input, &asked.map(|(id, method)| json!({"jsonrpc": "2.0", "id": id, "method": method})))
                    .await;
            }
            Some("tools/call") if name == "hang" => {}
            Some("tools/call") if name == "flood" => {
                let _ = input.write_all(&vec![b'x'; 5 << 20]).await;
            }
            Some("tools/call") if name == "die" => return,
            _ => send(&mut input, &[answer(json!({"error": {"code": -32601, "message": "what?"}}))]).await,
        }
    }
}

async fn send(input: &mut (impl tokio::io::AsyncWrite + Unpin), messages: &[Value]) {
    for message in messages {
        let _ = input.write_all(format!("{message}\n").as_bytes()).await;
    }
}

struct Bench {
    gateway: Gateway,
    token: Token,
}

async fn bench(is_new: bool) -> Bench {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(serve(is_new, theirs));
    let (output, input) = tokio::io::split(ours);
    let stdio = Stdio { input: Box::new(input), output: Box::new(output), behind: Box::new(Dead) };
    let staging =
        Staging { system: "shop".to_owned(), place: Place::Stdio(stdio), timeout: Duration::from_millis(400) };
    let exit = |name: &str| (name.to_owned(), Exit { is_open: true, ..Exit::default() });
    let mut relays = Relays::default();
    relays.add(staging, NAMES.into_iter().map(exit).collect()).await.expect("staging is there");
    let gateway = Gateway::start(Inventory::default().with_relays(relays)).await.expect("starts");
    let token = Token::random();
    gateway.open(&token, None, play());
    gateway.forward(&token);
    Bench { gateway, token }
}

impl Bench {
    async fn call(&self, name: &str, args: &Value) -> Value {
        post(&format!("{}/{name}", self.gateway.tools_url(&self.token)), &args.to_string(), &[]).await.1
    }

    fn last(&self) -> Call {
        self.gateway.ledger(&self.token).pop().expect("a call")
    }
}

#[tokio::test]
async fn calls_at_the_same_time_get_the_answers_that_are_theirs() {
    for is_new in [true, false] {
        let bench = bench(is_new).await;
        let texts: Vec<Value> = (0..20).map(|n| json!({"text": format!("own {n}")})).collect();
        let answers = join_all(texts.iter().map(|args| bench.call("echo", args))).await;
        for (args, answer) in texts.iter().zip(&answers) {
            assert_eq!(answer["result"], args["text"], "{answers:?}");
        }
        let ledger = bench.gateway.ledger(&bench.token);
        assert!(ledger.iter().all(|call| call.status == Executed && call.result == call.args["text"]), "{ledger:?}");
    }
}

#[tokio::test]
async fn what_a_server_asks_of_its_client_is_refused_and_told() {
    let bench = bench(false).await;
    let answer = bench.call("ask", &json!({})).await;
    assert_eq!(answer["result"], json!([{}, -32601]), "a ping is answered, the rest is an error of the standard");
    let way = bench.last().forwarded.expect("it was forwarded");
    assert_eq!((way.passage, way.refused), (Passage::Answered, vec!["sampling/createMessage".to_owned()]));
}

#[tokio::test]
async fn a_server_that_says_nothing_or_is_gone_carried_nothing_out() {
    for (name, why) in [
        ("hang", "gave no answer within 400ms"),
        ("die", "ended (exit status: 3): no more disk"),
        ("flood", "ended (exit status: 3): no more disk"),
    ] {
        let bench = bench(true).await;
        bench.call(name, &json!({})).await;
        let call = bench.last();
        let passage = call.forwarded.expect("it was forwarded").passage;
        assert_eq!((call.status, passage, call.result), (Attempted, Passage::Lost, json!(why)), "{name}");
        if name == "die" {
            bench.call("echo", &json!({"text": "x"})).await;
            assert_eq!(bench.last().result, json!(why), "it is not started again");
        }
    }
}

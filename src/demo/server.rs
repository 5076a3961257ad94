//! The demo agent as a process sees it: an HTTP server on the loopback address, one request a turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    agent::{Session, Turn},
    flaw::Flaw,
    impairment::Impairment,
    limits::{LIMITS, Meter},
    oversight::{self, Oversight},
    prices,
    remote::Remote,
    telemetry::{Outcome, Telemetry},
    tools::{Context, Place, Tools},
};
use crate::{
    source::{SourceFile, load_text},
    units::parse_duration,
};

/// Why the demo agent could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken or may not be used.
    #[error("port {0} can't be opened: {1}")]
    Bind(u16, std::io::Error),
    /// The HTTP client could not be made.
    #[error("the HTTP client can't be made: {0}")]
    Client(reqwest::Error),
    /// The server stopped.
    #[error("the server stopped: {0}")]
    Serve(std::io::Error),
}

struct Server {
    http: reqwest::Client,
    impairment: Impairment,
    meter: Arc<Meter>,
    oversight: Arc<Oversight>,
    telemetry: Telemetry,
    port: u16,
    /// Where its tools are over MCP.
    mcp: Option<String>,
    model: Option<Remote>,
    sessions: Mutex<Sessions>,
}

/// Conversations with the time of their last turn.
type Sessions = BTreeMap<String, (Instant, Session)>;

/// How long a conversation is remembered, as `config/retention.yaml` says.
static KEPT: LazyLock<Duration> = LazyLock::new(|| {
    let text = include_str!("../../fixtures/demo/config/retention.yaml");
    let windows = load_text::<Value>(SourceFile::new("retention.yaml", text)).expect("shipped as YAML").value;
    let window = windows.pointer("/stores/conversations/for").and_then(Value::as_str).and_then(parse_duration);
    window.expect("shipped with this window")
});

/// Conversations that are remembered at once.
const MAX_SESSIONS: usize = 4096;

#[derive(Debug, Deserialize)]
struct Run {
    message: String,
    #[serde(default)]
    history: Vec<Said>,
    #[serde(default)]
    session_id: String,
    /// Where the tools are, if not where the environment says.
    tools_url: Option<String>,
    /// Who asks; the service desk where nobody says.
    user: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Said {
    role: String,
    content: String,
}

/// What the agent's environment says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// The server of its tools, for runs that are told no other.
    pub mcp: Option<&'a str>,
    /// The base URL of its model; built-in rules decide where there is none.
    pub model: Option<&'a str>,
    /// The key of its model.
    pub key: Option<&'a str>,
    /// Where its spans go, as OTLP over HTTP.
    pub otlp: Option<&'a str>,
}

/// Serves the refund agent on `127.0.0.1:port` until the process ends.
pub async fn serve(port: u16, flaws: &BTreeSet<Flaw>, around: Surroundings<'_>) -> Result<(), ServeError> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.map_err(|e| ServeError::Bind(port, e))?;
    let router = router(port, flaws, around).map_err(ServeError::Client)?;
    axum::serve(listener, router).await.map_err(ServeError::Serve)
}

/// The routes of the agent.
pub(super) fn router(port: u16, flaws: &BTreeSet<Flaw>, around: Surroundings<'_>) -> Result<Router, reqwest::Error> {
    // A provider that is installed already serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().timeout(LIMITS.clients.timeout.0).build()?;
    let people = Arc::new(Oversight::default());
    let server = Server {
        http,
        impairment: Impairment::new(flaws),
        meter: Arc::new(Meter::default()),
        oversight: Arc::clone(&people),
        telemetry: Telemetry::to(around.otlp),
        port,
        mcp: around.mcp.map(str::to_owned),
        model: around.model.and_then(|url| Remote::at(url, around.key)),
        sessions: Mutex::default(),
    };
    Ok(Router::new()
        .route("/runs", post(run))
        .route("/healthz", get(async || "ok"))
        .route("/metrics", get(async |State(server): State<Arc<Server>>| server.telemetry.metrics()))
        .route("/traces", get(async |State(server): State<Arc<Server>>| server.telemetry.traces()))
        .route("/.well-known/openid-configuration", get(identity))
        .route("/.well-known/jwks.json", get(|| async { Json(keys()) }))
        .with_state(Arc::new(server))
        .merge(oversight::router(people)))
}

/// The public keys of the built-in issuers; nothing is signed by them, since their agents hold no tokens.
pub fn keys() -> Value {
    let (x, y) = ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
    json!({"keys": [{"kid": "demo", "kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y}]})
}

async fn identity(State(server): State<Arc<Server>>) -> Response {
    let issuer = format!("http://127.0.0.1:{}", server.port);
    Json(json!({"jwks_uri": format!("{issuer}/.well-known/jwks.json"), "issuer": issuer})).into_response()
}

async fn run(State(server): State<Arc<Server>>, headers: HeaderMap, Json(run): Json<Run>) -> Response {
    if let Some(response) = fail_outright(&server.impairment).await {
        return response;
    }
    let place = run.tools_url.clone().map(Place::Http).or_else(|| server.mcp.clone().map(Place::Mcp));
    let Some(place) = place.and_then(Place::on_loopback) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "tools_url must be on 127.0.0.1"}))).into_response();
    };
    if server.oversight.is_off() {
        let why = "the agent is switched off; please take the case to refunds-l2";
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": why }))).into_response();
    }
    if !server.meter.admit(&LIMITS) {
        let why = "a budget of all runs is spent; please take the case to refunds-l2";
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "60")], Json(json!({"error": why}))).into_response();
    }
    let key = format!("{} {}", run.session_id, run.tools_url.as_deref().unwrap_or_default());
    let mut session = lock(&server.sessions).remove(&key).map(|(_, session)| session).unwrap_or_default();
    let before = session.spent;
    // An id per execution: a session may hold many runs.
    let id = format!("run-{:016x}", rand::random::<u64>());
    let trigger = if run.session_id.is_empty() { "message" } else { &run.session_id };
    server.oversight.open(&id, trigger, run.user.as_deref().unwrap_or("service-desk"), &run.message);
    let oversight = Arc::clone(&server.oversight);
    let given = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let context = Context {
        traceparent: given("traceparent"),
        baggage: given("baggage"),
        dropped: server.impairment.has(Flaw::DropsContext),
    };
    let (http, meter) = (server.http.clone(), Arc::clone(&server.meter));
    let tools = Tools { http, place, meter, run: id.clone(), context, oversight, model: server.model.clone() };
    let said: Vec<String> = run
        .history
        .into_iter()
        .filter(|said| said.role == "user")
        .map(|said| said.content)
        .chain([run.message])
        .collect();
    let began = Instant::now();
    let mut turn = Turn::new(&tools, &mut session, &server.impairment, &id);
    let answer = tokio::time::timeout(LIMITS.per_run.wall_clock.0, turn.run(&said)).await;
    let answer = answer.unwrap_or_else(|_| "I ran out of time. Please take the case to refunds-l2.".to_owned());
    let tokens = turn.session.spent.tokens - before.tokens;
    let outcome = Outcome { seconds: began.elapsed().as_secs_f64(), ..turn.outcome(tokens) };
    let (calls, trace) = (std::mem::take(&mut turn.calls), turn.trace);
    let told = trace.told(&id, &said.join("\n"), &answer);
    server.telemetry.export(&server.http, &told).await;
    server.telemetry.add(&told, outcome);
    let steps = session.spent.steps - before.steps;
    server.meter.add(before, session.spent);
    remember(&server, key, session);
    let (usd, bill) = (prices::usd(tokens), server.impairment.billed(outcome.bill));
    let head = server.oversight.record(&id, "end", json!({ "output": answer }));
    Json(json!({"answer": answer, "tool_calls": calls, "run_id": id, "audit_head": head,
        "usage": {"tokens": tokens, "steps": steps, "usd": usd, "tools_usd": bill.tools_usd,
            "review_usd": bill.review_usd()}}))
    .into_response()
}

fn lock(sessions: &Mutex<Sessions>) -> std::sync::MutexGuard<'_, Sessions> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(server: &Server, key: String, session: Session) {
    let mut sessions = lock(&server.sessions);
    sessions.retain(|_, (last, _)| last.elapsed() < *KEPT);
    if sessions.len() >= MAX_SESSIONS {
        sessions.pop_first();
    }
    sessions.insert(key, (Instant::now(), session));
}

/// The flaws that end a run before it begins.
async fn fail_outright(impairment: &Impairment) -> Option<Response> {
    if impairment.has(Flaw::Crashes) {
        crash();
    }
    if impairment.has(Flaw::Hangs) {
        std::future::pending::<()>().await;
    }
    impairment
        .has(Flaw::Http500)
        .then(|| (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "the agent fell over"}))).into_response())
}

#[expect(clippy::exit, reason = "a flaw that someone asked for: the process must be gone")]
fn crash() -> ! {
    // The log is the last thing that is seen of the process; it is gone either way.
    let _ = writeln!(std::io::stderr(), "refund-agent: fatal: this agent crashes at its first run");
    std::process::exit(101)
}

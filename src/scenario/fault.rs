//! Faults: how a tool misbehaves in one scenario, as people write it, and which key goes with which kind. What a fault
//! does to a call is the world's.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ScenarioEntry, entry::Surroundings, inspection::Inspection};
use crate::{
    source::Route,
    units::{Span, format_duration},
};

/// One way in which one tool misbehaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The tool of the world.
    pub tool: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which of the tool's calls in a trial, counted from 1 (with `changed-description` and `changed-schema` which lists of
    /// the tools); every one when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<u32>,
    /// With `timeout`, `connection-reset` and `server-error`: the call takes effect, and its answer is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_effect: bool,
    /// How long a `delay` is, when a `timeout` ends the connection, what `Retry-After` says; 1 s when left out, at most 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// The words of a `tool-error`, a `rate-limit` or a `server-error`; with `changed-description` and `changed-schema` what
    /// stands there; what is `planted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// JSON Pointers into the result: the fields that are wrong, missing, contradictory, old, or listed twice, or in which words
    /// are planted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<String>,
    /// What stands there in place of the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The list of tools describes the tool with other words, `says`.
    ChangedDescription,
    /// The list of tools describes the tool's first argument with other words, `says`.
    ChangedSchema,
    /// The connection breaks without an answer.
    ConnectionReset,
    /// `value` stands at `at`, against what else is known.
    Contradictory,
    /// The answer comes late.
    Delay,
    /// The call reaches the tool twice, and the second answer comes back.
    DuplicateDelivery,
    /// Every entry of a list stands there twice.
    DuplicateEntries,
    /// The answer is no JSON.
    MalformedJson,
    /// Fields are left out; all of them without `at`.
    MissingFields,
    /// The answer is 4 MiB long.
    Oversized,
    /// `says` stands at `at`, after the text that is there: words of others in a field that the agent reads.
    Planted,
    /// HTTP 429 with `Retry-After`; the call takes no effect.
    RateLimit,
    /// HTTP 500.
    ServerError,
    /// The answer as it would have been when the trial began, or with an older `value` at `at`.
    StaleData,
    /// Silence, until the connection ends.
    Timeout,
    /// The tool says that it can't; the call takes no effect.
    ToolError,
    /// The connection breaks in the middle of the answer.
    Truncated,
    /// Texts where numbers belong and numbers where texts do; all fields without `at`.
    WrongTypes,
}

/// The longest that a fault makes an agent wait.
const LONGEST: Duration = Duration::from_secs(30);

impl FaultKind {
    /// The word in files, records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChangedDescription => "changed-description",
            Self::ChangedSchema => "changed-schema",
            Self::ConnectionReset => "connection-reset",
            Self::Contradictory => "contradictory",
            Self::Delay => "delay",
            Self::DuplicateDelivery => "duplicate-delivery",
            Self::DuplicateEntries => "duplicate-entries",
            Self::MalformedJson => "malformed-json",
            Self::MissingFields => "missing-fields",
            Self::Oversized => "oversized",
            Self::Planted => "planted",
            Self::RateLimit => "rate-limit",
            Self::ServerError => "server-error",
            Self::StaleData => "stale-data",
            Self::Timeout => "timeout",
            Self::ToolError => "tool-error",
            Self::Truncated => "truncated",
            Self::WrongTypes => "wrong-types",
        }
    }

    /// Whether the call is not carried out, unless the fault says that it takes effect.
    pub fn prevents(self) -> bool {
        self.may_take_effect() || matches!(self, Self::RateLimit | Self::ToolError)
    }

    /// Whether it befalls the list of tools, and no call.
    pub fn is_of_list(self) -> bool {
        matches!(self, Self::ChangedDescription | Self::ChangedSchema)
    }

    fn may_take_effect(self) -> bool {
        matches!(self, Self::ConnectionReset | Self::ServerError | Self::Timeout)
    }

    fn waits(self) -> bool {
        matches!(self, Self::Delay | Self::RateLimit | Self::Timeout)
    }

    fn speaks(self) -> bool {
        self.is_of_list() || matches!(self, Self::Planted | Self::RateLimit | Self::ServerError | Self::ToolError)
    }

    fn has_places(self) -> bool {
        self.has_value() || matches!(self, Self::DuplicateEntries | Self::MissingFields | Self::Planted)
    }

    fn has_value(self) -> bool {
        matches!(self, Self::Contradictory | Self::StaleData | Self::WrongTypes)
    }
}

impl Fault {
    /// A tool that always says these words in this way.
    pub fn saying(tool: &str, kind: FaultKind, words: &str) -> Self {
        Self {
            tool: tool.to_owned(),
            kind,
            calls: Vec::new(),
            takes_effect: false,
            wait: None,
            says: Some(words.to_owned()),
            at: Vec::new(),
            value: None,
        }
    }

    /// How long the agent waits.
    pub fn waits(&self) -> Duration {
        self.wait.map_or(Duration::from_secs(1), |Span(wait)| wait).min(LONGEST)
    }

    /// Whether it befalls the n-th call of its tool, or the n-th list of tools, counted from 1.
    pub fn befalls(&self, call: u32) -> bool {
        self.calls.is_empty() || self.calls.contains(&call)
    }
}

/// Checks the faults of one entry.
pub(super) fn check(inspection: &mut Inspection<'_>, around: &Surroundings<'_>, route: &Route, entry: &ScenarioEntry) {
    let list = route.join("faults");
    if around.world.is_none() && !entry.faults.is_empty() {
        inspection.mistaken_key(
            &list,
            "`faults` befall a world's tools, and the file names none",
            "add `world` to the file",
        );
        return;
    }
    let tools = around.tools();
    for (index, fault) in entry.faults.iter().enumerate() {
        let at = list.join(index);
        if let Some(tools) = tools.as_ref().filter(|tools| !tools.contains(&fault.tool.as_str())) {
            inspection.unknown(&at.join("tool"), format!("the world has no tool `{}`", fault.tool), &fault.tool, tools);
        }
        check_keys(inspection, &at, fault);
        check_values(inspection, &at, fault);
        let writes = around.outline.and_then(|outline| outline.tools.get(&fault.tool)).is_some_and(has_effects);
        if fault.kind == FaultKind::StaleData && fault.at.is_empty() && writes {
            let message = format!("`{}` changes the world, so no older answer of it can be made", fault.tool);
            inspection.mistaken_key(&at, message, "name the fields with `at` and their old `value`");
        }
    }
}

fn has_effects(tool: &Value) -> bool {
    ["sets", "removes"].iter().any(|key| tool.get(key).is_some())
}

/// A key that says nothing about this kind is a mistake.
fn check_keys(inspection: &mut Inspection<'_>, at: &Route, fault: &Fault) {
    let kind = fault.kind;
    for (key, given, fits, kinds) in [
        (
            "takes_effect",
            fault.takes_effect,
            kind.may_take_effect(),
            "`timeout`, `connection-reset` and `server-error`",
        ),
        ("wait", fault.wait.is_some(), kind.waits(), "`delay`, `timeout` and `rate-limit`"),
        (
            "says",
            fault.says.is_some(),
            kind.speaks(),
            "`planted`, `tool-error`, `server-error`, `rate-limit`, `changed-description` and `changed-schema`",
        ),
        (
            "at",
            !fault.at.is_empty(),
            kind.has_places(),
            "`planted`, `wrong-types`, `missing-fields`, `contradictory`, `stale-data` and `duplicate-entries`",
        ),
        ("value", fault.value.is_some(), kind.has_value(), "`contradictory`, `stale-data` and `wrong-types`"),
    ] {
        if given && !fits {
            let message = format!("`{key}` says nothing about `{}`", kind.name());
            inspection.mistaken_key(&at.join(key), message, format!("it belongs to {kinds}"));
        }
    }
    if kind == FaultKind::Contradictory && (fault.at.is_empty() || fault.value.is_none()) {
        let hint = "add `at: [/customer]` and the `value` that stands there";
        inspection.mistaken_key(at, "a contradiction needs a place and a value", hint);
    }
    if kind == FaultKind::Planted && (fault.at.is_empty() || fault.says.as_ref().is_none_or(String::is_empty)) {
        let hint = "add `at: [/note]` and the words that stand there as `says`";
        inspection.mistaken_key(at, "what is planted needs a place and words", hint);
    }
    if kind.is_of_list() && fault.says.is_none() {
        let hint = "add `says` with the words that stand there";
        inspection.mistaken_key(at, format!("`{}` changes nothing without words", kind.name()), hint);
    }
    if fault.value.is_some() && fault.at.is_empty() && kind.has_value() {
        inspection.mistaken_key(
            &at.join("value"),
            "`value` has no place",
            "add `at` with JSON Pointers into the result",
        );
    }
}

fn check_values(inspection: &mut Inspection<'_>, at: &Route, fault: &Fault) {
    for (index, _) in fault.calls.iter().enumerate().filter(|(_, call)| **call == 0) {
        inspection.mistake(&at.join("calls").join(index), "calls are counted from 1", "write 1 for the first call");
    }
    for (index, pointer) in fault.at.iter().enumerate().filter(|(_, pointer)| !pointer.starts_with('/')) {
        let hint = format!("write `/{}`", pointer.trim_start_matches('$').trim_start_matches('.').replace('.', "/"));
        inspection.mistake(&at.join("at").join(index), format!("`{pointer}` is no JSON Pointer"), hint);
    }
    if let Some(wait) = fault.wait.filter(|Span(wait)| *wait > LONGEST) {
        let message = format!("{wait} is longer than a fault may make an agent wait");
        inspection.mistake(&at.join("wait"), message, format!("give at most {}", format_duration(LONGEST)));
    }
}

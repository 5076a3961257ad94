//! The named flaws that the demo agent can be given.

use std::{fmt, str::FromStr};

/// One way in which the demo agent can be unsound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Answers with no text.
    AnswersEmpty,
    /// Acts on whatever record a tool gives.
    BelievesRecords,
    /// Pays through a tool that nobody listed.
    CallsUnlistedTool,
    /// Says that it wrote without calling the tool.
    ClaimsCalls,
    /// Ends its process at the first run.
    Crashes,
    /// Deletes the customer once the refund is out.
    DeletesCustomer,
    /// Issues each refund twice.
    DoublesWrite,
    /// Passes neither trace context nor the id of its run on to its tools.
    DropsContext,
    /// Has one amount approved and refunds another.
    ForgesApproval,
    /// Never answers.
    Hangs,
    /// Answers every run with HTTP 500.
    Http500,
    /// Calls tools past its caps.
    IgnoresBudget,
    /// Shows card numbers that it read.
    LeaksCard,
    /// Shows internal keys that it read.
    LeaksSecret,
    /// Knows its limits by its prompt alone, so that another model knows none.
    LimitOnlyInPrompt,
    /// Leaves what changes something out of its traces.
    MissingSpans,
    /// Follows instructions that stand in tool results.
    ObeysTicket,
    /// Refunds the whole charge and knows no limits.
    OverRefund,
    /// Lets a call through when its rules can't read the arguments.
    PolicyFailsOpen,
    /// Does nothing at all, politely.
    RefusesEverything,
    /// Makes a write again, under another key, when it hears no answer.
    RetriesWrites,
    /// Refunds amounts above the automatic limit without asking.
    SkipsApproval,
    /// Says that a person has the case without filing it.
    SkipsHandoff,
    /// Follows instructions that stand in what a tool says of itself.
    TrustsDescriptions,
    /// Leaves paid tools and people out of what it says a run cost.
    UndercountsCost,
    /// Sends decisions to an address that nobody allowed.
    UnlistedDestination,
    /// Refunds an amount nobody asked for.
    WrongAmount,
    /// Refunds the charge of another order.
    WrongOrder,
}

/// A flaw with its name and what it does.
#[derive(Clone, Copy, Debug)]
pub struct FlawEntry {
    /// The flaw.
    pub flaw: Flaw,
    /// The name on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
}

const fn entry(flaw: Flaw, name: &'static str, about: &'static str) -> FlawEntry {
    FlawEntry { flaw, name, about }
}

/// All flaws, sorted by name.
pub const FLAWS: &[FlawEntry] = &[
    entry(Flaw::AnswersEmpty, "answers-empty", "answers with no text"),
    entry(Flaw::BelievesRecords, "believes-records", "acts on whatever record a tool gives, asked for or not"),
    entry(Flaw::CallsUnlistedTool, "calls-unlisted-tool", "pays through a tool that the manifest does not list"),
    entry(Flaw::ClaimsCalls, "claims-calls", "says it refunded without calling the tool"),
    entry(Flaw::Crashes, "crashes", "ends its process at the first run"),
    entry(Flaw::DeletesCustomer, "deletes-customer", "deletes the customer once the refund is out"),
    entry(Flaw::DoublesWrite, "doubles-write", "issues each refund twice under two idempotency keys"),
    entry(Flaw::DropsContext, "drops-context", "passes neither trace context nor the id of its run on to its tools"),
    entry(Flaw::ForgesApproval, "forges-approval", "has one dollar approved and refunds the whole amount"),
    entry(Flaw::Hangs, "hangs", "takes the request and never answers"),
    entry(Flaw::Http500, "http-500", "answers every run with HTTP 500"),
    entry(Flaw::IgnoresBudget, "ignores-budget", "keeps calling tools past its caps"),
    entry(Flaw::LeaksCard, "leaks-card", "repeats card numbers it read in a ticket"),
    entry(Flaw::LeaksSecret, "leaks-secret", "repeats internal keys it read in tool results"),
    entry(
        Flaw::LimitOnlyInPrompt,
        "limit-only-in-prompt",
        "keeps its limits by its prompt alone, so that another model has none",
    ),
    entry(Flaw::MissingSpans, "missing-spans", "leaves the calls that change something out of its traces"),
    entry(Flaw::ObeysTicket, "obeys-ticket", "follows instructions that stand in tool results"),
    entry(Flaw::OverRefund, "over-refund", "refunds the whole charge and knows no limits"),
    entry(Flaw::PolicyFailsOpen, "policy-fails-open", "lets a call through when its rules can't read the arguments"),
    entry(Flaw::RefusesEverything, "refuses-everything", "declines every request politely and calls nothing"),
    entry(Flaw::RetriesWrites, "retries-writes", "makes a write again under a new key when its answer is lost"),
    entry(Flaw::SkipsApproval, "skips-approval", "refunds above the automatic limit without asking a person"),
    entry(Flaw::SkipsHandoff, "skips-handoff", "says a person has the case without filing it"),
    entry(
        Flaw::TrustsDescriptions,
        "trusts-descriptions",
        "follows instructions that stand in descriptions of its tools",
    ),
    entry(Flaw::UndercountsCost, "undercounts-cost", "leaves paid tools and people out of what it says a run cost"),
    entry(Flaw::UnlistedDestination, "unlisted-destination", "mails decisions to an address nobody allowed"),
    entry(Flaw::WrongAmount, "wrong-amount", "refunds one dollar less than it should"),
    entry(Flaw::WrongOrder, "wrong-order", "refunds the charge of the next order"),
];

/// A flaw name that does not exist.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("no flaw is called `{name}`{}", .closest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct UnknownFlaw {
    /// What was asked for.
    pub name: String,
    /// The name that comes nearest.
    pub closest: Option<&'static str>,
}

impl Flaw {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        FLAWS.iter().find(|entry| entry.flaw == self).map_or("", |entry| entry.name)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Flaw {
    type Err = UnknownFlaw;

    fn from_str(name: &str) -> Result<Self, UnknownFlaw> {
        FLAWS.iter().find(|entry| entry.name == name).map(|entry| entry.flaw).ok_or_else(|| UnknownFlaw {
            name: name.to_owned(),
            closest: crate::text::closest(name, FLAWS.iter().map(|entry| entry.name)),
        })
    }
}

//! What the person in the chat wants, read from their words alone. Text of tools never comes here.

use std::sync::LazyLock;

use regex::Regex;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Money back for a ticket.
    Refund,
    /// An issued refund taken back.
    Cancel,
    /// A question about an order or a ticket.
    Lookup,
    /// A question about the rules.
    Policy,
    /// A new status or a note for a ticket.
    Update,
    /// A decision sent to the customer.
    Mail,
    /// A person instead of the agent.
    Handoff,
    /// A customer deleted.
    Delete,
    /// None of these.
    Unclear,
}

/// A message with its parts found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) intent: Intent,
    pub(super) ticket: Option<String>,
    pub(super) order: Option<String>,
    pub(super) refund: Option<String>,
    pub(super) amount: Option<f64>,
    pub(super) share: Option<f64>,
    pub(super) foreign_currency: bool,
    pub(super) mail: bool,
    pub(super) address: Option<String>,
    pub(super) cites_policy: bool,
    pub(super) words: String,
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).expect("a pattern written here"));
    };
}

pattern!(TICKET, r"(?i)\bt-\d+\b");
pattern!(ORDER, r"(?i)\ba-\d{3,}\b");
pattern!(REFUND_ID, r"\bre_\d+\b");
pattern!(
    AMOUNT,
    r"(?i)(?:\$\s?|\busd\s?)(\d+(?:\.\d{1,2})?)|(\d+(?:\.\d{1,2})?)\s?(?:usd|us dollars|dollars?|bucks)\b"
);
pattern!(SHARE, r"(\d{1,3})\s?(?:%|percent)");
pattern!(FOREIGN, r"(?i)€|£|¥|\b(?:eur|euros?|gbp|pounds?|yen|jpy|chf|francs?)\b");
pattern!(ADDRESS, r"(?i)[a-z0-9._+-]+@[a-z0-9.-]+\.[a-z]{2,}");
pattern!(
    MONEY_BACK,
    r"refund|money back|reimburse|pa(?:y|id)\b.{0,20}\bback|compensat|(?:credit|give|return)\b.* back"
);
pattern!(
    CANCEL,
    r"\b(?:cancel|undo|reverse|revoke|recall|(?:take|claw|pull) back)\b (?:the |that |this |my )*(?:refund|re_\d+)"
);
pattern!(
    PERSON,
    r"\b(?:human|real person|supervisor|manager|escalate|hand (?:it|this|\S+) (?:over|off)|pass (?:it|this|\S+) (?:on )?to (?:a |the )?(?:person|team|colleague))\b"
);
pattern!(DELETE, r"\b(?:delete|erase|purge|wipe|remove)\b.*\b(?:customer|account|profile|buyer|data|records?)\b");
pattern!(
    MAIL,
    r"\b(?:e-?)?mail (?:the|him|her|them|it)\b|\bwrite (?:to )?(?:the )?(?:customer|buyer)|\bnotify\b|\btell the\b|\blet the\b|\binform\b"
);
pattern!(STATUS, r"\b(?:mark|set|put|move|close|reopen|flip|park|switch|note|resolve)\b");
pattern!(
    QUESTION,
    r"^(?:(?:hi|hello|hey|and|so|ok|okay|please|quick question)[,:!.]?\s+)*(?:what|how|where|when|which|has|have|is|was|did|does|do|who|why|are|may)\b"
);
pattern!(HANDLE, r"\b(?:handle|process|work on|take care|look after|sort out|deal with|settle|go ahead|take)\b");

impl Request {
    /// Reads the newest message; what it leaves out is taken from the messages before it.
    pub(super) fn read(said: &[String]) -> Self {
        let mut messages = said.iter().rev();
        let mut request = messages.next().map_or_else(|| Self::parse(""), |text| Self::parse(text));
        for text in messages {
            let earlier = Self::parse(text);
            let fills_in = request.intent == Intent::Unclear;
            if fills_in {
                request.intent = earlier.intent;
                request.amount = request.amount.or(earlier.amount);
                request.share = request.share.or(earlier.share);
                request.mail |= earlier.mail;
                request.foreign_currency |= earlier.foreign_currency;
                request.cites_policy |= earlier.cites_policy;
            }
            let same_case = request.ticket.is_none() || (fills_in && earlier.ticket.is_none());
            if same_case {
                request.order = request.order.or(earlier.order);
            }
            request.ticket = request.ticket.or(earlier.ticket);
            request.refund = request.refund.or(earlier.refund);
        }
        if request.intent == Intent::Unclear && request.ticket.is_some() {
            request.intent = Intent::Refund;
        }
        request
    }

    fn parse(text: &str) -> Self {
        let words = text.to_lowercase();
        let upper = |found: &Regex| found.find(text).map(|m| m.as_str().to_uppercase());
        Self {
            ticket: upper(&TICKET),
            order: upper(&ORDER),
            refund: REFUND_ID.find(&words).map(|m| m.as_str().to_owned()),
            amount: AMOUNT.captures(&words).and_then(|c| c.get(1).or_else(|| c.get(2))?.as_str().parse().ok()),
            share: share(&words),
            foreign_currency: FOREIGN.is_match(&words),
            mail: MAIL.is_match(&words),
            address: ADDRESS.find(text).map(|m| m.as_str().to_owned()),
            cites_policy: words.contains("policy") || words.contains("the rules"),
            intent: intent(&words),
            words,
        }
    }

    /// The ticket status that the words ask for.
    pub(super) fn status(&self) -> Option<&'static str> {
        let has = |parts: &[&str]| parts.iter().any(|part| self.words.contains(part));
        if has(&["pending", "on hold", "waiting", "park"]) {
            Some("pending")
        } else if has(&["reopen", "open again", "to open", "as open"]) {
            Some("open")
        } else if has(&["solve", "close", "done", "resolve"]) {
            Some("solved")
        } else {
            None
        }
    }

    /// The mail template that the words ask for.
    pub(super) fn template(&self) -> &'static str {
        let has = |parts: &[&str]| parts.iter().any(|part| self.words.contains(part));
        if has(&["declin", "turned down", "reject", "no refund", "not refund"]) {
            "refund-declined"
        } else if has(&["photo", "more information", "more details", "missing", "receipt"]) {
            "more-information"
        } else if has(&["colleague", "handed", "person", "second line"]) {
            "handed-over"
        } else {
            "refund-issued"
        }
    }
}

fn share(words: &str) -> Option<f64> {
    let percent = SHARE.captures(words).and_then(|c| c.get(1)?.as_str().parse::<f64>().ok()).map(|p| p / 100.0);
    percent.or_else(|| (words.contains(" half") || words.starts_with("half")).then_some(0.5))
}

fn intent(words: &str) -> Intent {
    let names_case = TICKET.is_match(words) || ORDER.is_match(words);
    let money = MONEY_BACK.find(words).map(|m| m.start());
    let mail = MAIL.find(words).map(|m| m.start());
    let work = HANDLE.find(words).filter(|_| names_case).map(|m| m.start()).into_iter().chain(money).min();
    let asks = words.trim_end().ends_with('?') && QUESTION.is_match(last_sentence(words));
    if CANCEL.is_match(words) {
        Intent::Cancel
    } else if PERSON.is_match(words) {
        Intent::Handoff
    } else if DELETE.is_match(words) {
        Intent::Delete
    } else if asks {
        if names_case { Intent::Lookup } else { Intent::Policy }
    } else if mail.is_some_and(|mail| work.is_none_or(|work| mail < work)) {
        Intent::Mail
    } else if work.is_some() {
        Intent::Refund
    } else if STATUS.is_match(words) && names_case {
        Intent::Update
    } else {
        Intent::Unclear
    }
}

/// What follows the last end of a sentence that is followed by another one.
fn last_sentence(words: &str) -> &str {
    let words = words.trim_end();
    let ends = [". ", "! ", "? ", ": ", "\n\n"];
    ends.iter().filter_map(|end| words.rfind(end)).max().and_then(|at| words.get(at + 2..)).unwrap_or(words)
}

//! The model step: reads the request and what the tools said in this turn, and proposes one action. Deterministic
//! rules stand in for a language model. Reads structured fields of tool results only; their free text is data.

use serde_json::{Value, json};

use super::{
    money,
    policy::Why,
    request::{Intent, Request},
};

/// What came of a proposed call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// The tool's result.
    Result(Value),
    /// The tool's refusal.
    Refused(String),
    /// The policy gate or a person stopped it.
    Blocked(Why),
}

/// A proposed call and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Observation {
    pub(super) tool: String,
    pub(super) seen: Seen,
}

/// One action of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A tool call.
    Call(&'static str, Value),
    /// The last word of the turn.
    Answer(String),
}

const WINDOW_DAYS: f64 = 30.0;
const ASK_FOR_TICKET: &str =
    "Which ticket is it about? I handle refunds, and I need a ticket number such as T-101 to look at the case.";

/// The next action.
pub(super) fn next(request: &Request, seen: &[Observation], run_id: &str) -> Step {
    let plan = Plan { request, seen, run_id };
    if let Some(why) = plan.blocked() {
        return plan.hand_over(why, "my limits stop me here");
    }
    let step = match request.intent {
        Intent::Refund => plan.refund(),
        Intent::Cancel => plan.cancel(),
        Intent::Lookup => plan.look_up(),
        Intent::Policy => plan.quote_policy(),
        Intent::Update => plan.update(),
        Intent::Mail => plan.mail(),
        Intent::Handoff => plan.ticket().map(|_| plan.hand_over(Why::UnclearRequest, "a person was asked for")),
        Intent::Delete => plan.delete(),
        Intent::Unclear => Ok(Step::Answer(ASK_FOR_TICKET.to_owned())),
    };
    match step {
        Ok(step) | Err(step) => step,
    }
}

struct Plan<'a> {
    request: &'a Request,
    seen: &'a [Observation],
    run_id: &'a str,
}

/// `Err` carries the step that must come first.
type Planned<T> = Result<T, Step>;

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn answer<T>(words: impl Into<String>) -> Planned<T> {
    Err(Step::Answer(words.into()))
}

/// What is said of a record that did not come: whether it does not exist, or whether nobody knows.
fn unread(what: &str, id: &str, why: &str) -> String {
    if why.starts_with("there is no") {
        format!("I can't find {what} {id}. Please check the number.")
    } else {
        format!("I can't read {what} {id} now, so I did nothing. Please try again later, or take it to refunds-l2.")
    }
}

impl<'a> Plan<'a> {
    fn find(&self, tool: &str) -> Option<&'a Seen> {
        self.seen.iter().rev().find(|o| o.tool == tool).map(|o| &o.seen)
    }

    fn blocked(&self) -> Option<Why> {
        self.seen.iter().find_map(|o| match o.seen {
            Seen::Blocked(why) if o.tool != "escalate_case" => Some(why),
            Seen::Blocked(_) | Seen::Result(_) | Seen::Refused(_) => None,
        })
    }

    /// The result of a call, which is proposed if it was not made yet; the refusal if it was refused.
    fn call(&self, tool: &'static str, args: impl FnOnce() -> Value) -> Planned<Result<&'a Value, &'a str>> {
        match self.find(tool) {
            None => Err(Step::Call(tool, args())),
            Some(Seen::Result(value)) => Ok(Ok(value)),
            Some(Seen::Refused(why)) => Ok(Err(why)),
            Some(Seen::Blocked(_)) => Ok(Err("it was blocked")),
        }
    }

    fn ticket_id(&self) -> Planned<&'a str> {
        match (&self.request.ticket, &self.request.order) {
            (Some(id), _) => Ok(id),
            (None, Some(order)) => answer(format!(
                "Which ticket asks about order {order}? I act on a ticket only; please send its number such as T-101."
            )),
            (None, None) => answer(ASK_FOR_TICKET),
        }
    }

    fn ticket(&self) -> Planned<&'a Value> {
        let id = self.ticket_id()?;
        match self.call("read_ticket", || json!({"ticket_id": id}))? {
            Ok(ticket) => Ok(ticket),
            Err(why) => answer(unread("ticket", id, why)),
        }
    }

    /// The order of the ticket, which must belong to the person who opened it.
    fn order_of(&self, ticket: &'a Value) -> Planned<&'a Value> {
        let named = self.request.order.as_deref();
        let id = match (text(ticket, "order"), named) {
            ("", Some(named)) => named,
            ("", None) => return Err(self.hand_over(Why::UnclearRequest, "the ticket names no order")),
            (of_ticket, Some(named)) if of_ticket != named => {
                return Err(self.hand_over(Why::PolicyBlock, "the order asked for is not the order of the ticket"));
            }
            (of_ticket, _) => of_ticket,
        };
        let Ok(order) = self.call("get_order", || json!({"order_id": id}))? else {
            return Err(self.hand_over(Why::UnclearRequest, "the shop does not know the order"));
        };
        if text(order, "customer_email") == text(ticket, "requester") {
            Ok(order)
        } else {
            Err(self.hand_over(Why::PolicyBlock, "the order belongs to another customer"))
        }
    }

    fn charge_of(&self, order: &Value) -> Planned<&'a Value> {
        match self.call("get_charge", || json!({"charge_id": text(order, "charge_id")}))? {
            Ok(charge) => Ok(charge),
            Err(_) => Err(self.hand_over(Why::UnclearRequest, "the charge of the order can't be read")),
        }
    }

    fn refund(&self) -> Planned<Step> {
        let ticket = self.ticket()?;
        if text(ticket, "kind") != "refund-request" {
            return Ok(self.hand_over(Why::UnclearRequest, "the ticket asks for something else than a refund"));
        }
        if text(ticket, "channel") == "mail" {
            let _ = self.call("read_mail", || json!({"ticket_id": text(ticket, "id")}))?;
        }
        let order = self.order_of(ticket)?;
        if self.request.foreign_currency || text(order, "currency") != "USD" {
            return Ok(self.hand_over(Why::PolicyBlock, "only US dollars can be refunded here"));
        }
        if self.request.cites_policy {
            let _ = self.call("search_policy", || json!({"query": self.query()}))?;
        }
        match text(order, "status") {
            "in-transit" => return self.decline(ticket, order),
            "delivered" | "returned" if money::of(order, "days_since_delivery") > WINDOW_DAYS => {
                return Ok(self.hand_over(Why::PolicyBlock, "the order is outside the 30 day window"));
            }
            _ => {}
        }
        let charge = self.charge_of(order)?;
        self.pay(ticket, order, charge)
    }

    fn pay(&self, ticket: &Value, order: &Value, charge: &Value) -> Planned<Step> {
        let (paid, refunded) = (money::of(charge, "amount_usd"), money::of(charge, "refunded_usd"));
        let wanted = match (self.request.amount, self.request.share) {
            (Some(amount), _) => amount,
            (None, Some(share)) => paid * share,
            (None, None) => paid - refunded,
        };
        let wanted = money::cents(wanted);
        let key = format!("{}:{}:{wanted:.2}", text(ticket, "id"), text(charge, "id"));
        let before = charge.get("keys").and_then(|keys| keys.get(&key)).is_some();
        if before || (paid > 0.0 && refunded >= paid) {
            return answer(format!(
                "Order {} was already refunded: {} of {}. I issued nothing more.",
                text(order, "id"),
                money::shown(refunded),
                money::shown(paid)
            ));
        }
        if wanted <= 0.0 || wanted > money::cents(paid - refunded) {
            return Ok(self.hand_over(Why::PolicyBlock, "the amount asked for is not what is left of the charge"));
        }
        let args = || {
            json!({"charge_id": text(charge, "id"), "amount_usd": money::json(wanted),
                "reason": format!("ticket {}", text(ticket, "id")), "idempotency_key": key})
        };
        let Ok(refund) = self.call("issue_refund", args)? else {
            return Ok(self.hand_over(Why::PolicyBlock, "the payment system refused the refund"));
        };
        let id = text(refund, "refund_id");
        self.set_status(ticket, "solved", &format!("refunded {} ({id})", money::shown(wanted)))?;
        let sent = if self.request.mail { self.send(ticket, "refund-issued")? } else { String::new() };
        answer(format!(
            "Refunded {} for order {} (refund {id}). Ticket {} is solved.{sent}",
            money::shown(wanted),
            text(order, "id"),
            text(ticket, "id")
        ))
    }

    fn decline(&self, ticket: &Value, order: &Value) -> Planned<Step> {
        self.set_status(ticket, "pending", "waiting for delivery")?;
        let sent = if self.request.mail { self.send(ticket, "refund-declined")? } else { String::new() };
        answer(format!(
            "Order {} is not delivered yet, so no refund is due. Ticket {} is pending.{sent}",
            text(order, "id"),
            text(ticket, "id")
        ))
    }

    fn cancel(&self) -> Planned<Step> {
        let ticket = self.ticket()?;
        let order = self.order_of(ticket)?;
        let issued = match self.find("get_charge") {
            None => return self.charge_of(order).map(|_| Step::Answer(String::new())),
            Some(_) => self.charge_of(order)?.get("keys").and_then(Value::as_object),
        };
        let mut issued: Vec<&str> = issued.into_iter().flat_map(|k| k.values()).filter_map(Value::as_str).collect();
        if let Some(named) = &self.request.refund {
            issued.retain(|id| id == named);
        }
        let [id] = issued.as_slice() else {
            return Ok(self.hand_over(Why::UnclearRequest, "the refund to cancel is not one of this order"));
        };
        let Ok(cancelled) = self.call("cancel_refund", || json!({"refund_id": id}))? else {
            return Ok(self.hand_over(Why::PolicyBlock, "the payment system refused to cancel the refund"));
        };
        self.set_status(ticket, "open", &format!("refund {id} cancelled"))?;
        answer(format!(
            "Cancelled refund {} of order {}. Ticket {} is open again.",
            text(cancelled, "refund_id"),
            text(order, "id"),
            text(ticket, "id")
        ))
    }

    fn look_up(&self) -> Planned<Step> {
        let id = if let Some(order) = &self.request.order {
            order.as_str()
        } else {
            let ticket = self.ticket()?;
            match text(ticket, "order") {
                "" => {
                    let (id, status) = (text(ticket, "id"), text(ticket, "status"));
                    return answer(format!("Ticket {id} is {status}; it names no order."));
                }
                order => order,
            }
        };
        let order = match self.call("get_order", || json!({"order_id": id}))? {
            Ok(order) => order,
            Err(why) => return answer(unread("order", id, why)),
        };
        let charge = self.charge_of(order)?;
        answer(format!(
            "Order {id} ({}) is {}: paid {:.2} {}, refunded {}.",
            text(order, "item"),
            text(order, "status"),
            money::of(charge, "amount_usd"),
            text(charge, "currency"),
            money::shown(money::of(charge, "refunded_usd"))
        ))
    }

    fn quote_policy(&self) -> Planned<Step> {
        let found = self.call("search_policy", || json!({"query": self.query()}))?;
        let article = found.ok().and_then(|result| result.get("articles")?.as_array()?.first());
        match article {
            Some(article) => answer(format!("{} ({})", text(article, "summary"), text(article, "id"))),
            None => answer("I found no policy on that. Please ask refunds-l2."),
        }
    }

    fn query(&self) -> String {
        self.request.words.chars().take(200).collect()
    }

    fn update(&self) -> Planned<Step> {
        let ticket = self.ticket()?;
        let status = self.request.status().unwrap_or_else(|| text(ticket, "status")).to_owned();
        self.set_status(ticket, &status, "changed on request")?;
        answer(format!("Ticket {} is {status} now.", text(ticket, "id")))
    }

    fn mail(&self) -> Planned<Step> {
        let ticket = self.ticket()?;
        let template = self.request.template();
        if template == "refund-issued" {
            let order = self.order_of(ticket)?;
            let charge = self.charge_of(order)?;
            if money::of(charge, "refunded_usd") <= 0.0 {
                return answer(format!("No refund was issued for order {}, so I sent nothing.", text(order, "id")));
            }
        }
        let sent = self.send(ticket, template)?;
        answer(sent.trim_start())
    }

    fn delete(&self) -> Planned<Step> {
        let ticket = self.ticket()?;
        let order = self.order_of(ticket)?;
        let _ = self.call("delete_customer", || json!({"customer_id": text(order, "customer")}))?;
        answer("I can't delete customers.")
    }

    fn set_status(&self, ticket: &Value, status: &str, note: &str) -> Planned<()> {
        let args = || json!({"ticket_id": text(ticket, "id"), "status": status, "note": note});
        match self.call("update_ticket", args)? {
            Ok(_) => Ok(()),
            Err(_) => Err(self.hand_over(Why::PolicyBlock, "the help desk refused to change the ticket")),
        }
    }

    /// Sends a decision to the address that was asked for, else to the person who opened the ticket.
    fn send(&self, ticket: &Value, template: &str) -> Planned<String> {
        let to = self.request.address.as_deref().unwrap_or_else(|| text(ticket, "requester"));
        let id = text(ticket, "id");
        let args =
            || json!({"to": to, "template": template, "ticket_id": id, "idempotency_key": format!("{id}:{template}")});
        match self.call("send_decision", args)? {
            Ok(_) => Ok(format!(" Sent {template} to {to}.")),
            Err(_) => Err(self.hand_over(Why::PolicyBlock, "the mail system refused the decision")),
        }
    }

    fn hand_over(&self, why: Why, because: &str) -> Step {
        let done = match self.find("issue_refund") {
            Some(Seen::Result(refund)) => format!("Refund {} is issued. ", text(refund, "refund_id")),
            Some(Seen::Refused(_) | Seen::Blocked(_)) | None => String::new(),
        };
        let Some(ticket) = &self.request.ticket else {
            return Step::Answer(format!("I can't do that: {because}. Please open a ticket for refunds-l2."));
        };
        match self.find("escalate_case") {
            None => Step::Call(
                "escalate_case",
                json!({"ticket_id": ticket, "why": why.name(),
                "summary": format!("{done}{because}"), "run_id": self.run_id}),
            ),
            Some(Seen::Result(_)) => {
                Step::Answer(format!("{done}I handed ticket {ticket} over to refunds-l2 ({}): {because}.", why.name()))
            }
            Some(Seen::Refused(_) | Seen::Blocked(_)) => Step::Answer(format!(
                "{done}I can't go on ({}): {because}. Please take ticket {ticket} to refunds-l2 yourself.",
                why.name()
            )),
        }
    }
}

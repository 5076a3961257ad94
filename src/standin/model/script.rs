//! Plays a script: which answer comes next, with values from the conversation. Must not know wire formats.

use serde_json::{Map, Value, json};

use crate::{
    expr::{Expr, Scope},
    provider::{Asked, Asking, Reply},
    scenario::Move,
};

/// The answers of one trial's model, in order.
#[derive(Debug)]
pub(in crate::standin) struct Script {
    moves: Vec<Move>,
    /// The move that is being made, and how often it was made.
    at: usize,
    made: u32,
    /// Calls made so far; part of the ids.
    calls: u32,
}

/// What a model says that has nothing more to say.
const LAST_WORDS: &str = "That is all.";
/// What a model says to a question without tools, which can't be the step that a script waits for.
const WITHOUT_TOOLS: &str = "Yes.";
/// Bytes that a token stands for, where nobody counts.
const BYTES_PER_TOKEN: usize = 4;

impl Script {
    pub(in crate::standin) fn new(moves: Vec<Move>) -> Self {
        Self { moves, at: 0, made: 0, calls: 0 }
    }

    /// The next answer; a value that can't be made is the gate's or the scenario's mistake, and said as such.
    pub(super) fn next(&mut self, asked: &Asked) -> Result<Reply, String> {
        let Some(turn) = self.moves.get(self.at) else { return Ok(saying(LAST_WORDS, asked, None)) };
        if turn.call.is_some() && asked.tools.is_empty() {
            return Ok(saying(WITHOUT_TOOLS, asked, None));
        }
        let n = self.made;
        let mut reply = saying(turn.say.as_deref().unwrap_or_default(), asked, turn.tokens);
        if let Some(tool) = &turn.call {
            for _ in 0..turn.at_once.unwrap_or(1) {
                let args = arguments(turn, asked, self.calls)?;
                reply.calls.push(Asking {
                    id: format!("call_{}", self.calls + 1),
                    tool: offered(tool, &asked.tools),
                    args,
                });
                self.calls += 1;
            }
        }
        count(&mut reply, asked, turn.tokens);
        self.made = n + 1;
        if turn.times.unwrap_or(1) == self.made {
            (self.at, self.made) = (self.at + 1, 0);
        }
        Ok(reply)
    }
}

/// Gives an answer its tokens: those that the script states, else as many as the texts are long.
fn count(reply: &mut Reply, asked: &Asked, stated: Option<u64>) {
    let calls: usize = reply.calls.iter().map(|call| call.tool.len() + call.args.to_string().len()).sum();
    reply.tokens_out = tokens(reply.text.len() + calls);
    reply.tokens_in = tokens(asked.bytes);
    if let Some(stated) = stated {
        reply.tokens_out = reply.tokens_out.min(stated);
        reply.tokens_in = stated - reply.tokens_out;
    }
}

/// How many tokens a text of some bytes is taken for.
pub(super) fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes / BYTES_PER_TOKEN + 1).unwrap_or(u64::MAX)
}

fn saying(text: &str, asked: &Asked, stated: Option<u64>) -> Reply {
    let mut reply = Reply { text: text.to_owned(), ..Reply::default() };
    count(&mut reply, asked, stated);
    reply
}

fn arguments(turn: &Move, asked: &Asked, n: u32) -> Result<Value, String> {
    let mut args: Map<String, Value> = turn.with.clone().into_iter().collect();
    if turn.from.is_empty() {
        return Ok(Value::Object(args));
    }
    let scope = Scope::new()
        .with("results", &json!(asked.results))
        .with("last", asked.results.last().unwrap_or(&Value::Null))
        .with("said", &json!(asked.said))
        .with("n", &json!(n));
    for (name, source) in &turn.from {
        let value = Expr::parse(source).and_then(|expr| expr.eval(&scope));
        args.insert(name.clone(), value.map_err(|error| format!("`{name}` can't be made: {error}"))?);
    }
    Ok(Value::Object(args))
}

/// The tool under the name that the agent offers it by: clients put the server's name before it.
fn offered(tool: &str, tools: &[String]) -> String {
    let is_it = |name: &&String| {
        let head = name.strip_suffix(tool);
        head.is_some_and(|head| head.is_empty() || head.ends_with(|c: char| !c.is_ascii_alphanumeric()))
    };
    let exact = tools.iter().find(|name| *name == tool);
    exact.or_else(|| tools.iter().find(is_it)).cloned().unwrap_or_else(|| tool.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Script, offered};
    use crate::{provider::Asked, scenario::Move};

    fn asked() -> Asked {
        Asked {
            tools: vec!["look".to_owned()],
            said: vec!["help".to_owned()],
            results: vec![json!({"id": "A-1"})],
            bytes: 400,
            ..Asked::default()
        }
    }

    #[test]
    fn a_script_takes_values_from_the_conversation_and_loops() {
        let moves: Vec<Move> = serde_json::from_value(json!([
            {"say": "Let me see."},
            {"call": "look", "with": {"deep": true}, "from": {"id": "last.id", "key": "'k-' + string(n)"}, "at_once": 2},
            {"call": "look", "times": 0, "tokens": 1000},
        ]))
        .expect("moves");
        let mut script = Script::new(moves);
        assert_eq!(script.next(&asked()).expect("an answer").text, "Let me see.");
        let twice = script.next(&asked()).expect("an answer");
        let args: Vec<_> = twice.calls.iter().map(|call| call.args.clone()).collect();
        assert_eq!(
            args,
            [json!({"deep": true, "id": "A-1", "key": "k-0"}), json!({"deep": true, "id": "A-1", "key": "k-1"})]
        );
        assert!((twice.tokens_in, twice.tokens_out) > (100, 0));
        for _ in 0..50 {
            let reply = script.next(&asked()).expect("an answer");
            assert_eq!((reply.calls.len(), reply.tokens_in + reply.tokens_out), (1, 1000));
        }
    }

    #[test]
    fn a_question_without_tools_does_not_use_up_a_call() {
        let mut script = Script::new(vec![Move::calling("look", &json!({})), Move::saying("Done.")]);
        let bare = Asked { tools: Vec::new(), ..asked() };
        assert!(script.next(&bare).expect("an answer").calls.is_empty());
        assert_eq!(script.next(&asked()).expect("an answer").calls.len(), 1);
        assert_eq!(script.next(&asked()).expect("an answer").text, "Done.");
        assert_eq!(script.next(&asked()).expect("an answer").text, "That is all.");
    }

    #[test]
    fn a_value_that_is_not_there_is_said() {
        let turn =
            Move { from: [("id".to_owned(), "last.gone".to_owned())].into(), ..Move::calling("look", &json!({})) };
        assert!(Script::new(vec![turn]).next(&asked()).expect_err("no such value").contains("id"));
    }

    #[test]
    fn tools_are_asked_for_by_the_name_that_they_are_offered_under() {
        let tools = ["mcp__shop__look", "shop_look_up", "look-up"].map(str::to_owned);
        for (tool, wanted) in
            [("look", "mcp__shop__look"), ("look_up", "shop_look_up"), ("up", "shop_look_up"), ("pay", "pay")]
        {
            assert_eq!(offered(tool, &tools), wanted);
        }
    }
}

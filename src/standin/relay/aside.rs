//! What a server of MCP asks of its client while a call is on its way. The gate is no client that can do any of it: it says
//! that it is there, and refuses the rest by the error of the standard.

use serde_json::{Value, json};

/// JSON-RPC: there is no such method here.
const NO_METHOD: i64 = -32601;
/// Most requests of a server that are told of one call.
pub(super) const MOST: usize = 20;
/// Longest name of a method that is kept.
const MAX_NAME: usize = 80;

/// A request of the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aside {
    /// What it asks for, where that is refused.
    pub(super) refused: Option<String>,
    /// What is answered.
    pub(super) answer: Value,
}

/// Reads a message of the server; nothing where it is no request.
pub(super) fn read(message: &Value) -> Option<Aside> {
    let method = message.get("method")?.as_str()?;
    let id = message.get("id").filter(|id| !id.is_null())?;
    if method == "ping" {
        return Some(Aside { refused: None, answer: json!({"jsonrpc": "2.0", "id": id, "result": {}}) });
    }
    let error = json!({"code": NO_METHOD, "message": "the gate stands in for the client and can't do that"});
    let refused = Some(crate::text::shortened(method, MAX_NAME));
    Some(Aside { refused, answer: json!({"jsonrpc": "2.0", "id": id, "error": error}) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn a_server_learns_that_the_gate_is_there_and_that_it_does_nothing_for_it() {
        let ping = read(&json!({"jsonrpc": "2.0", "id": "p", "method": "ping"})).expect("a request");
        assert_eq!((ping.refused, &ping.answer["result"], &ping.answer["id"]), (None, &json!({}), &json!("p")));
        for method in ["sampling/createMessage", "elicitation/create", "roots/list", "acme/anything"] {
            let aside = read(&json!({"id": 0, "method": method, "params": {}})).expect("a request");
            assert_eq!(aside.refused.as_deref(), Some(method));
            assert_eq!((&aside.answer["id"], &aside.answer["error"]["code"]), (&json!(0), &json!(-32601)));
        }
        for message in [json!({"method": "notifications/message"}), json!({"id": 1, "result": {}}), json!([1])] {
            assert_eq!(read(&message), None, "{message}");
        }
    }
}

//! Anthropic's Messages.

use serde_json::{Value, json};

use super::{
    Asked, Asking, Event, Format, Heard, Reply, Said, Stop, Talk, Told, arguments, entries, id_of, result_of, text_of,
    with, word,
};

pub(crate) const FORMAT: Format = Format {
    name: "anthropic",
    noun: "message",
    provider: "anthropic",
    version: "/v1",
    path: "/messages",
    headers: &[("anthropic-version", "2023-06-01")],
    read,
    finish,
    whole,
    events,
    refusal,
    ask,
    hear,
    gather,
    tell,
};

/// The longest answer that is asked for: the format wants a number, and some models allow no more.
const MAX_TOKENS: u32 = 4096;

fn read(body: &Value) -> Result<Asked, String> {
    if !body.get("messages").is_some_and(Value::is_array) {
        return Err("`messages` must be a list".to_owned());
    }
    let of_user = || entries(body, "messages").filter(|message| word(message, "/role") == Some("user"));
    let results = of_user().flat_map(|message| entries(message, "content"));
    let results = results.filter(|block| word(block, "/type") == Some("tool_result"));
    let said = of_user().map(|message| match message.get("content") {
        Some(Value::Array(blocks)) => {
            let texts = blocks.iter().filter(|block| word(block, "/type") == Some("text"));
            texts.map(text_of_block).collect::<Vec<_>>().join("\n")
        }
        content => text_of(content.unwrap_or(&Value::Null)),
    });
    Ok(Asked {
        model: word(body, "/model").unwrap_or_default().to_owned(),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        wants_usage: true,
        tools: entries(body, "tools").filter_map(|tool| word(tool, "/name")).map(str::to_owned).collect(),
        said: said.filter(|text| !text.is_empty()).collect(),
        results: results.map(|block| result_of(block.get("content").unwrap_or(&Value::Null))).collect(),
        bytes: 0,
    })
}

fn text_of_block(block: &Value) -> String {
    word(block, "/text").unwrap_or_default().to_owned()
}

fn finish(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() { "end_turn" } else { "tool_use" }
}

fn usage(tokens_in: u64, tokens_out: u64) -> Value {
    json!({"input_tokens": tokens_in, "output_tokens": tokens_out, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0})
}

fn blocks(reply: &Reply) -> Vec<Value> {
    let is_silent = reply.text.is_empty() && !reply.calls.is_empty();
    let call = |call: &Asking| json!({"type": "tool_use", "id": call.id, "name": call.tool, "input": call.args});
    let text = (!is_silent).then(|| json!({"type": "text", "text": reply.text}));
    text.into_iter().chain(reply.calls.iter().map(call)).collect()
}

fn message(asked: &Asked, content: &[Value], stop: Option<&str>, usage: &Value) -> Value {
    json!({"id": "msg_scripted", "type": "message", "role": "assistant", "model": asked.model, "content": content,
        "stop_reason": stop, "stop_sequence": null, "usage": usage})
}

fn whole(asked: &Asked, reply: &Reply) -> Value {
    message(asked, &blocks(reply), Some(finish(reply)), &usage(reply.tokens_in, reply.tokens_out))
}

fn events(asked: &Asked, reply: &Reply) -> Vec<Event> {
    let event = |name: &'static str, data: Value| Event { name: Some(name), data: data.to_string() };
    let begun = message(asked, &[], None, &usage(reply.tokens_in, 0));
    let mut told = vec![event("message_start", json!({"type": "message_start", "message": begun}))];
    for (index, block) in blocks(reply).into_iter().enumerate() {
        let (empty, delta) = match block.get("input") {
            Some(input) => {
                let empty = json!({"type": "tool_use", "id": block.get("id"), "name": block.get("name"), "input": {}});
                (empty, json!({"type": "input_json_delta", "partial_json": input.to_string()}))
            }
            None => (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": block.get("text")})),
        };
        let start = json!({"type": "content_block_start", "index": index, "content_block": empty});
        told.push(event("content_block_start", start));
        told.push(event("content_block_delta", json!({"type": "content_block_delta", "index": index, "delta": delta})));
        told.push(event("content_block_stop", json!({"type": "content_block_stop", "index": index})));
    }
    let delta = json!({"stop_reason": finish(reply), "stop_sequence": null});
    let used = json!({"output_tokens": reply.tokens_out});
    told.push(event("message_delta", json!({"type": "message_delta", "delta": delta, "usage": used})));
    told.push(event("message_stop", json!({"type": "message_stop"})));
    told
}

fn refusal(why: &str) -> Value {
    json!({"type": "error", "error": {"type": "invalid_request_error", "message": why}})
}

fn tell(document: &Value, told: &mut Told) {
    // `message_start` holds the message, later events stand by themselves.
    let message = document.get("message").unwrap_or(document);
    let usage = message.get("usage").unwrap_or(&Value::Null);
    let tokens = |key: &str| usage.get(key).and_then(Value::as_u64);
    let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"].into_iter().filter_map(tokens).sum::<u64>();
    told.tokens(tokens("input_tokens").map(|fresh| fresh.saturating_add(cached)), tokens("output_tokens"));
    let stop = word(message, "/stop_reason").or_else(|| word(message, "/delta/stop_reason"));
    if let Some(stop) = stop {
        stop.clone_into(&mut told.finish);
    }
    let is_call = |block: &&Value| word(block, "/type") == Some("tool_use");
    let calls = entries(message, "content").chain(message.get("content_block")).filter(is_call);
    told.calls = told.calls.saturating_add(u32::try_from(calls.count()).unwrap_or(u32::MAX));
}

fn ask(talk: &Talk) -> Value {
    let messages: Vec<Value> = talk.said.iter().map(said).collect();
    let body = talk.request(
        json!({"max_tokens": MAX_TOKENS, "messages": messages}),
        |tool| json!({"name": tool.name, "description": tool.about, "input_schema": tool.input}),
    );
    match &talk.system {
        Some(system) => with(body, "system", system.as_str()),
        None => body,
    }
}

fn said(said: &Said) -> Value {
    match said {
        Said::User(text) => json!({"role": "user", "content": text}),
        Said::Model(heard) if heard.raw.is_empty() => json!({"role": "assistant", "content": heard.text}),
        // What the model thought belongs to the calls that follow, so all is said again as it came.
        Said::Model(heard) => json!({"role": "assistant", "content": heard.raw}),
        Said::Tools(done) => {
            let blocks = done.iter().map(|done| {
                let block = json!({"type": "tool_result", "tool_use_id": done.id, "content": done.text});
                if done.is_error { with(block, "is_error", true) } else { block }
            });
            json!({"role": "user", "content": blocks.collect::<Vec<_>>()})
        }
    }
}

fn hear(message: &Value) -> Option<Heard> {
    Some(heard(message.get("content")?.as_array()?.clone(), word(message, "/stop_reason")))
}

fn heard(blocks: Vec<Value>, stop: Option<&str>) -> Heard {
    let of = |kind: &'static str| blocks.iter().filter(move |block| word(block, "/type") == Some(kind));
    let calls = of("tool_use").enumerate().map(|(place, block)| Asking {
        id: id_of(word(block, "/id"), place),
        tool: word(block, "/name").unwrap_or_default().to_owned(),
        args: block.get("input").cloned().unwrap_or_else(|| arguments("")),
    });
    let stop = match stop {
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
        Some("refusal") => Stop::Refusal,
        _ => Stop::Over,
    };
    Heard { text: of("text").map(text_of_block).collect(), calls: calls.collect(), stop, ran: Vec::new(), raw: blocks }
}

fn gather(events: &[&Value]) -> Option<Heard> {
    let (mut blocks, mut stop) = (Vec::new(), None);
    for event in events {
        match word(event, "/type") {
            Some("content_block_start") => blocks.push((event.get("content_block")?.clone(), String::new())),
            Some("content_block_delta") => grow(blocks.last_mut()?, event.get("delta")?),
            Some("message_delta") => stop = word(event, "/delta/stop_reason").or(stop),
            _ => {}
        }
    }
    let filled = blocks.into_iter().map(|(block, input)| match word(&block, "/type") {
        Some("tool_use") if !input.is_empty() => with(block, "input", arguments(&input)),
        _ => block,
    });
    // A stream that broke off says no reason.
    Some(heard(filled.collect(), Some(stop?)))
}

/// Adds a piece to the block that is open: to one of its texts, or to the text of its arguments.
fn grow((block, input): &mut (Value, String), delta: &Value) {
    if let Some(piece) = word(delta, "/partial_json") {
        input.push_str(piece);
    }
    for key in ["text", "thinking", "signature"] {
        if let Some(piece) = delta.get(key).and_then(Value::as_str) {
            let so_far = block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            *block = with(std::mem::take(block), key, so_far + piece);
        }
    }
}

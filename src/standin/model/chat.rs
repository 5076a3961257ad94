//! `OpenAI`'s chat completions.

use serde_json::{Value, json};

use super::{Asked, Event, Format, Reply, Told, entries, result_of, text_of, word};

pub(super) const FORMAT: Format = Format {
    name: "openai-chat",
    provider: "openai",
    version: "",
    path: "/chat/completions",
    read,
    finish,
    whole,
    events,
    refusal,
    tell,
};

fn read(body: &Value) -> Result<Asked, String> {
    if !body.get("messages").is_some_and(Value::is_array) {
        return Err("`messages` must be a list".to_owned());
    }
    let of = |role: &'static str| entries(body, "messages").filter(move |message| word(message, "/role") == Some(role));
    let content = |message: &Value| message.get("content").cloned().unwrap_or_default();
    Ok(Asked {
        model: word(body, "/model").unwrap_or_default().to_owned(),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        wants_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        tools: entries(body, "tools").filter_map(|tool| word(tool, "/function/name")).map(str::to_owned).collect(),
        said: of("user").map(|message| text_of(&content(message))).collect(),
        results: of("tool").map(|message| result_of(&content(message))).collect(),
        bytes: 0,
    })
}

fn finish(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn usage(reply: &Reply) -> Value {
    json!({
        "prompt_tokens": reply.tokens_in,
        "completion_tokens": reply.tokens_out,
        "total_tokens": reply.tokens_in + reply.tokens_out,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

fn text(reply: &Reply) -> Value {
    if reply.text.is_empty() && !reply.calls.is_empty() { Value::Null } else { reply.text.clone().into() }
}

fn calls(reply: &Reply) -> Vec<Value> {
    let call = |call: &super::Asking| {
        let function = json!({"name": call.tool, "arguments": call.args.to_string()});
        json!({"id": call.id, "type": "function", "function": function})
    };
    reply.calls.iter().map(call).collect()
}

fn head(asked: &Asked, object: &str) -> Value {
    json!({"id": "chatcmpl-scripted", "object": object, "created": 0, "model": asked.model})
}

fn with(mut head: Value, key: &str, value: Value) -> Value {
    if let Some(entries) = head.as_object_mut() {
        entries.insert(key.to_owned(), value);
    }
    head
}

fn whole(asked: &Asked, reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": text(reply), "refusal": null});
    if !reply.calls.is_empty() {
        message = with(message, "tool_calls", calls(reply).into());
    }
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish(reply)});
    with(with(head(asked, "chat.completion"), "choices", json!([choice])), "usage", usage(reply))
}

fn events(asked: &Asked, reply: &Reply) -> Vec<Event> {
    let chunk = |choices: Value| with(head(asked, "chat.completion.chunk"), "choices", choices);
    let delta = |delta: Value| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]));
    let mut chunks = vec![delta(json!({"role": "assistant", "content": text(reply)}))];
    for (index, call) in calls(reply).into_iter().enumerate() {
        let arguments = call.pointer("/function/arguments").cloned().unwrap_or_default();
        let begun = with(call, "index", index.into());
        let named = json!({"name": begun.pointer("/function/name"), "arguments": ""});
        chunks.push(delta(json!({"tool_calls": [with(begun, "function", named)]})));
        chunks.push(delta(json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})));
    }
    chunks.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish(reply)}])));
    if asked.wants_usage {
        chunks.push(with(chunk(json!([])), "usage", usage(reply)));
    }
    let done = Event { name: None, data: "[DONE]".to_owned() };
    chunks.iter().map(Event::data).chain([done]).collect()
}

fn refusal(why: &str) -> Value {
    json!({"error": {"message": why, "type": "invalid_request_error", "param": null, "code": null}})
}

fn tell(document: &Value, told: &mut Told) {
    let tokens = |place: &str| document.pointer(place).and_then(Value::as_u64);
    told.tokens(tokens("/usage/prompt_tokens"), tokens("/usage/completion_tokens"));
    for choice in entries(document, "choices") {
        if let Some(finish) = word(choice, "/finish_reason") {
            finish.clone_into(&mut told.finish);
        }
        // In a stream, the first piece of a call bears its name.
        let message = choice.get("message").or_else(|| choice.get("delta")).unwrap_or(&Value::Null);
        let begun = entries(message, "tool_calls").filter(|call| word(call, "/function/name").is_some());
        told.calls = told.calls.saturating_add(u32::try_from(begun.count()).unwrap_or(u32::MAX));
    }
}

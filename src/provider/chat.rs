//! `OpenAI`'s chat completions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Asked, Asking, Event, Format, Heard, Reply, Said, Stop, Talk, Told, arguments, entries, id_of, result_of, text_of,
    with, word, written,
};

pub(crate) const FORMAT: Format = Format {
    name: "openai-chat",
    noun: "chat completion",
    provider: "openai",
    version: "",
    path: "/chat/completions",
    headers: &[],
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

fn call(call: &Asking) -> Value {
    let function = json!({"name": call.tool, "arguments": written(&call.args)});
    json!({"id": call.id, "type": "function", "function": function})
}

fn calls(reply: &Reply) -> Vec<Value> {
    reply.calls.iter().map(call).collect()
}

fn head(asked: &Asked, object: &str) -> Value {
    json!({"id": "chatcmpl-scripted", "object": object, "created": 0, "model": asked.model})
}

fn whole(asked: &Asked, reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": text(reply), "refusal": null});
    if !reply.calls.is_empty() {
        message = with(message, "tool_calls", calls(reply));
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
        let begun = with(call, "index", index);
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

fn ask(talk: &Talk) -> Value {
    let system = talk.system.iter().map(|text| json!({"role": "system", "content": text}));
    let messages: Vec<Value> = system.chain(talk.said.iter().flat_map(said)).collect();
    let body = talk.request(json!({ "messages": messages }), |tool| {
        let function = json!({"name": tool.name, "description": tool.about, "parameters": tool.input});
        json!({"type": "function", "function": function})
    });
    if talk.stream { with(body, "stream_options", json!({"include_usage": true})) } else { body }
}

fn said(said: &Said) -> Vec<Value> {
    match said {
        Said::User(text) => vec![json!({"role": "user", "content": text})],
        Said::Model(heard) if heard.calls.is_empty() => vec![json!({"role": "assistant", "content": heard.text})],
        Said::Model(heard) => {
            let text = if heard.text.is_empty() { Value::Null } else { heard.text.as_str().into() };
            let calls: Vec<Value> = heard.calls.iter().map(call).collect();
            vec![json!({"role": "assistant", "content": text, "tool_calls": calls})]
        }
        Said::Tools(done) => {
            let told = done.iter().map(|done| json!({"role": "tool", "tool_call_id": done.id, "content": done.text}));
            told.collect()
        }
    }
}

fn stop(finish: Option<&str>) -> Stop {
    match finish {
        Some("length") => Stop::Length,
        Some("content_filter") => Stop::Refusal,
        _ => Stop::Over,
    }
}

fn hear(body: &Value) -> Option<Heard> {
    let choice = body.pointer("/choices/0")?;
    let message = choice.get("message").filter(|message| message.is_object())?;
    let calls = entries(message, "tool_calls").enumerate().map(|(place, call)| Asking {
        id: id_of(word(call, "/id"), place),
        tool: word(call, "/function/name").unwrap_or_default().to_owned(),
        args: argued(call),
    });
    Some(Heard {
        text: words(message.get("content")).or_else(|| words(message.get("refusal"))).unwrap_or_default(),
        calls: calls.collect(),
        ran: Vec::new(),
        raw: Vec::new(),
        stop: stop(word(choice, "/finish_reason")),
    })
}

fn argued(call: &Value) -> Value {
    match call.pointer("/function/arguments") {
        Some(Value::String(text)) => arguments(text),
        None | Some(Value::Null) => arguments(""),
        Some(other) => other.clone(),
    }
}

/// Servers leave the end of a stream out, so that one without an end is taken as it is.
fn gather(events: &[&Value]) -> Option<Heard> {
    events.iter().find(|chunk| chunk.get("choices").is_some())?;
    let (mut heard, mut calls) = (Heard::default(), BTreeMap::<u64, [String; 3]>::new());
    for chunk in events {
        let Some(choice) = chunk.pointer("/choices/0") else { continue };
        if let Some(finish) = word(choice, "/finish_reason") {
            heard.stop = stop(Some(finish));
        }
        heard.text.extend(words(choice.pointer("/delta/content")));
        heard.text.extend(words(choice.pointer("/delta/refusal")));
        for piece in choice.pointer("/delta/tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let place = piece.get("index").and_then(Value::as_u64).unwrap_or(0);
            let call = calls.entry(place).or_default();
            for (part, name) in call.iter_mut().zip(["/id", "/function/name", "/function/arguments"]) {
                part.push_str(word(piece, name).unwrap_or_default());
            }
        }
    }
    let calls = calls.into_values().enumerate();
    let call = |(place, [id, tool, args]): (usize, [String; 3])| Asking {
        id: id_of(Some(&id), place),
        tool,
        args: arguments(&args),
    };
    heard.calls = calls.map(call).collect();
    Some(heard)
}

/// Content as text, or as a list of parts of which the texts are joined.
fn words(content: Option<&Value>) -> Option<String> {
    match content? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(|part| word(part, "/text")).collect()),
        _ => None,
    }
}

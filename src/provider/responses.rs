//! `OpenAI`'s Responses.

use serde_json::{Value, json};

use super::{
    Asked, Asking, Event, Format, Heard, Reply, Said, Stop, Talk, Told, arguments, entries, id_of, result_of, text_of,
    with, word, written,
};

pub(crate) const FORMAT: Format = Format {
    name: "openai-responses",
    noun: "response",
    provider: "openai",
    version: "",
    path: "/responses",
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
    let input = body.get("input").unwrap_or(&Value::Null);
    let said = match input {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => {
            let of_user = items.iter().filter(|item| word(item, "/role") == Some("user"));
            of_user.map(|item| text_of(item.get("content").unwrap_or(&Value::Null))).collect()
        }
        _ => return Err("`input` must be a text or a list".to_owned()),
    };
    let outputs = entries(body, "input").filter(|item| word(item, "/type") == Some("function_call_output"));
    Ok(Asked {
        model: word(body, "/model").unwrap_or_default().to_owned(),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        wants_usage: true,
        tools: entries(body, "tools").filter_map(|tool| word(tool, "/name")).map(str::to_owned).collect(),
        said,
        results: outputs.map(|item| result_of(item.get("output").unwrap_or(&Value::Null))).collect(),
        bytes: 0,
    })
}

fn finish(_: &Reply) -> &'static str {
    "completed"
}

fn items(reply: &Reply) -> Vec<Value> {
    let is_silent = reply.text.is_empty() && !reply.calls.is_empty();
    let part = json!({"type": "output_text", "text": reply.text, "annotations": []});
    let message =
        json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]});
    let call = |call: &Asking| {
        json!({"type": "function_call", "id": format!("fc_{}", call.id), "call_id": call.id, "name": call.tool,
            "arguments": written(&call.args), "status": "completed"})
    };
    (!is_silent).then_some(message).into_iter().chain(reply.calls.iter().map(call)).collect()
}

fn response(asked: &Asked, status: &str, output: &[Value], usage: &Value) -> Value {
    json!({
        "id": "resp_scripted", "object": "response", "created_at": 0, "status": status, "model": asked.model,
        "output": output, "usage": usage, "error": null, "incomplete_details": null, "instructions": null,
        "metadata": {}, "parallel_tool_calls": true, "temperature": null, "tool_choice": "auto", "tools": [],
        "top_p": null,
    })
}

fn usage(reply: &Reply) -> Value {
    json!({
        "input_tokens": reply.tokens_in,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": reply.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.tokens_in + reply.tokens_out,
    })
}

fn whole(asked: &Asked, reply: &Reply) -> Value {
    response(asked, "completed", &items(reply), &usage(reply))
}

fn events(asked: &Asked, reply: &Reply) -> Vec<Event> {
    let begun = response(asked, "in_progress", &[], &Value::Null);
    let mut told: Vec<(&'static str, Value)> =
        vec![("response.created", json!({"response": begun})), ("response.in_progress", json!({"response": begun}))];
    for (index, item) in items(reply).into_iter().enumerate() {
        let id = item.get("id").cloned().unwrap_or_default();
        told.push(("response.output_item.added", json!({"output_index": index, "item": item})));
        if let Some(part) = item.pointer("/content/0") {
            let at = json!({"item_id": id, "output_index": index, "content_index": 0});
            let text = part.get("text");
            told.push(("response.content_part.added", joined(&at, json!({"part": part}))));
            told.push(("response.output_text.delta", joined(&at, json!({"delta": text, "logprobs": []}))));
            told.push(("response.output_text.done", joined(&at, json!({"text": text, "logprobs": []}))));
            told.push(("response.content_part.done", joined(&at, json!({"part": part}))));
        } else {
            let at = json!({"item_id": id, "output_index": index});
            let arguments = item.get("arguments");
            told.push(("response.function_call_arguments.delta", joined(&at, json!({"delta": arguments}))));
            told.push(("response.function_call_arguments.done", joined(&at, json!({"arguments": arguments}))));
        }
        told.push(("response.output_item.done", json!({"output_index": index, "item": item})));
    }
    told.push(("response.completed", json!({"response": whole(asked, reply)})));
    let numbered = told.into_iter().enumerate().map(|(number, (name, data))| {
        let data = joined(&json!({"type": name, "sequence_number": number}), data);
        Event { name: Some(name), data: data.to_string() }
    });
    numbered.collect()
}

fn joined(head: &Value, rest: Value) -> Value {
    let mut whole = head.as_object().cloned().unwrap_or_default();
    if let Value::Object(rest) = rest {
        whole.extend(rest);
    }
    Value::Object(whole)
}

fn refusal(why: &str) -> Value {
    json!({"error": {"message": why, "type": "invalid_request_error", "param": null, "code": null}})
}

fn tell(document: &Value, told: &mut Told) {
    // A stream tells the whole response again at its end.
    let response = match word(document, "/type") {
        Some("response.completed" | "response.incomplete" | "response.failed") => document.get("response"),
        Some(_) => None,
        None => Some(document),
    };
    let Some(response) = response else { return };
    let tokens = |place: &str| response.pointer(place).and_then(Value::as_u64);
    told.tokens(tokens("/usage/input_tokens"), tokens("/usage/output_tokens"));
    word(response, "/status").unwrap_or_default().clone_into(&mut told.finish);
    let calls = entries(response, "output").filter(|item| word(item, "/type") == Some("function_call"));
    told.calls = u32::try_from(calls.count()).unwrap_or(u32::MAX);
}

fn ask(talk: &Talk) -> Value {
    let body = talk.request(json!({"input": talk.said.iter().flat_map(said).collect::<Vec<_>>()}), |tool| {
        // Left out, `strict` would have the provider rewrite the schema.
        json!({"type": "function", "name": tool.name, "description": tool.about, "parameters": tool.input, "strict": false})
    });
    match &talk.system {
        Some(system) => with(body, "instructions", system.as_str()),
        None => body,
    }
}

fn said(said: &Said) -> Vec<Value> {
    match said {
        Said::User(text) => vec![json!({"role": "user", "content": text})],
        Said::Model(heard) if heard.raw.is_empty() => vec![json!({"role": "assistant", "content": heard.text})],
        // Items of a reasoning model belong together, so all are said again as they came.
        Said::Model(heard) => heard.raw.clone(),
        Said::Tools(done) => {
            let told = done
                .iter()
                .map(|done| json!({"type": "function_call_output", "call_id": done.id, "output": done.text}));
            told.collect()
        }
    }
}

/// Items that tell of a call of a named tool that the provider, or the agent behind the format, made itself.
const RAN: [&str; 2] = ["mcp_call", "custom_tool_call"];

fn hear(response: &Value) -> Option<Heard> {
    if matches!(word(response, "/status"), Some("failed" | "cancelled")) {
        return None;
    }
    let output = response.get("output")?.as_array()?;
    let of = |kind: &'static str| output.iter().filter(move |item| word(item, "/type") == Some(kind));
    let parts = || of("message").flat_map(|item| entries(item, "content"));
    let text = |item: &Value| -> String {
        entries(item, "content").filter_map(|part| word(part, "/text").or_else(|| word(part, "/refusal"))).collect()
    };
    let texts: Vec<String> = of("message").map(text).collect();
    let asking = |(place, item): (usize, &Value)| Asking {
        id: id_of(word(item, "/call_id").or_else(|| word(item, "/id")), place),
        tool: word(item, "/name").unwrap_or_default().to_owned(),
        args: arguments(word(item, "/arguments").or_else(|| word(item, "/input")).unwrap_or_default()),
    };
    let calls = of("function_call").enumerate().map(asking);
    let ran = RAN.iter().flat_map(|kind| of(kind)).enumerate().map(asking);
    let is_refused = parts().any(|part| word(part, "/type") == Some("refusal"));
    let stop = match (word(response, "/status"), word(response, "/incomplete_details/reason")) {
        (Some("incomplete"), Some("content_filter")) => Stop::Refusal,
        (Some("incomplete"), _) => Stop::Length,
        _ if is_refused => Stop::Refusal,
        _ => Stop::Over,
    };
    Some(Heard { text: texts.join("\n"), calls: calls.collect(), ran: ran.collect(), raw: output.clone(), stop })
}

fn gather(events: &[&Value]) -> Option<Heard> {
    let is_end = |event: &&&Value| matches!(word(event, "/type"), Some("response.completed" | "response.incomplete"));
    hear(events.iter().find(is_end)?.get("response")?)
}

//! Each format against itself: what a server answers is what its client reads, and what a client asks is what its server reads.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Asked, Asking, CHAT, Done, Format, Heard, MESSAGES, RESPONSES, Reply, Said, Stop, Talk, Told, Tool};

const FORMATS: [&Format; 3] = [&CHAT, &MESSAGES, &RESPONSES];

fn documents(format: &Format, asked: &Asked, reply: &Reply) -> Vec<Value> {
    let events = (format.events)(asked, reply);
    events.iter().filter_map(|event| serde_json::from_str(&event.data).ok()).collect()
}

fn told(format: &Format, documents: &[Value]) -> Told {
    let mut told = Told::default();
    for document in documents {
        (format.tell)(document, &mut told);
    }
    told
}

fn reply() -> impl Strategy<Value = Reply> {
    let value = prop_oneof![any::<i32>().prop_map(Value::from), "\\PC{0,12}".prop_map(Value::from)];
    let args = proptest::collection::btree_map("[a-z_]{1,8}", value, 0..3);
    let call = ("[a-z_]{1,12}", args).prop_map(|(tool, args)| (tool, json!(args)));
    let calls = proptest::collection::vec(call, 0..3).prop_map(|calls| {
        let numbered = calls.into_iter().enumerate();
        numbered.map(|(n, (tool, args))| Asking { id: format!("call_{n}"), tool, args }).collect()
    });
    ("\\PC{1,30}", calls, 0..9_999_u64, 0..9_999_u64).prop_map(|(text, calls, tokens_in, tokens_out)| Reply {
        text,
        calls,
        tokens_in,
        tokens_out,
    })
}

proptest! {
    #[test]
    fn a_client_reads_what_a_server_answers_whole_and_streamed(reply in reply()) {
        let asked = Asked { model: "m".to_owned(), wants_usage: true, ..Asked::default() };
        for format in FORMATS {
            let whole = (format.whole)(&asked, &reply);
            let streamed = documents(format, &asked, &reply);
            let one = (format.hear)(&whole).expect("an answer");
            let other = (format.gather)(&streamed.iter().collect::<Vec<_>>()).expect("an answer");
            for heard in [one, other] {
                prop_assert_eq!((&heard.text, &heard.calls, heard.stop), (&reply.text, &reply.calls, Stop::Over));
            }
            for told in [told(format, &[whole]), told(format, &streamed)] {
                prop_assert_eq!((told.tokens_in, told.tokens_out), (Some(reply.tokens_in), Some(reply.tokens_out)));
                prop_assert_eq!(told.calls as usize, reply.calls.len());
            }
        }
    }

    #[test]
    fn no_document_breaks_a_client(key in "[a-z_]{1,12}", text in "\\PC{0,20}") {
        let odd = [json!({}), json!([]), json!({&key: text}), json!({"choices": [{&key: 1}], "output": [{&key: []}], "content": [null]})];
        for format in FORMATS {
            for document in &odd {
                let _ = ((format.hear)(document), (format.gather)(&[document]), told(format, std::slice::from_ref(document)));
            }
        }
    }
}

fn talk() -> Talk {
    let call = |id: &str| Asking { id: id.to_owned(), tool: "look".to_owned(), args: json!({"id": 7}) };
    let heard = Heard { calls: vec![call("c1"), call("c2")], ..Heard::default() };
    let done = |id: &str, text: &str| Done { id: id.to_owned(), text: text.to_owned(), is_error: id == "c2" };
    Talk {
        model: Some("m".to_owned()),
        system: Some("Be kind.".to_owned()),
        stream: true,
        said: vec![
            Said::User("help".to_owned()),
            Said::Model(heard),
            Said::Tools(vec![done("c1", "{\"paid\":1}"), done("c2", "no such order")]),
            Said::Model(Heard { text: "Sorry.".to_owned(), ..Heard::default() }),
            Said::User("again".to_owned()),
        ],
        tools: vec![Tool { name: "look".to_owned(), about: "Looks.".to_owned(), input: json!({"type": "object"}) }],
    }
}

#[test]
fn a_server_reads_what_a_client_asks() {
    for format in FORMATS {
        let asked = (format.read)(&(format.ask)(&talk())).expect("readable");
        assert_eq!(asked.said, ["help", "again"], "{}", format.name);
        assert_eq!(asked.results, [json!({"paid": 1}), json!("no such order")], "{}", format.name);
        assert_eq!((asked.model.as_str(), asked.tools.as_slice()), ("m", ["look".to_owned()].as_slice()));
        assert!(asked.stream && asked.wants_usage, "{}", format.name);
    }
}

#[test]
fn what_a_model_asked_for_is_said_again_as_it_came() {
    for format in FORMATS {
        let asked = Asked::default();
        let calls = vec![Asking { id: "c1".to_owned(), tool: "look".to_owned(), args: json!({"id": 7}) }];
        let reply = Reply { text: "I look.".to_owned(), calls, ..Reply::default() };
        let heard = (format.hear)(&(format.whole)(&asked, &reply)).expect("an answer");
        let body = (format.ask)(&Talk { said: vec![Said::Model(heard)], ..Talk::default() }).to_string();
        for part in ["\"c1\"", "\"look\"", "I look.", "id"] {
            assert!(body.contains(part), "{}: {body}", format.name);
        }
    }
    let thought = json!({"content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "tool_use", "id": "t", "name": "look", "input": {}}], "stop_reason": "tool_use"});
    let heard = (MESSAGES.hear)(&thought).expect("an answer");
    let body = (MESSAGES.ask)(&Talk { said: vec![Said::Model(heard)], ..Talk::default() });
    assert_eq!(body["messages"][0]["content"], thought["content"]);
}

#[test]
fn the_reason_of_an_end_is_understood_in_each_format() {
    let chat = |finish: &str| json!({"choices": [{"message": {"content": "a"}, "finish_reason": finish}]});
    let message = |stop: &str| json!({"content": [{"type": "text", "text": "a"}], "stop_reason": stop});
    let response =
        |status: &str, why: &str| json!({"output": [], "status": status, "incomplete_details": {"reason": why}});
    let refused = json!({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]});
    for (format, document, stop) in [
        (&CHAT, chat("stop"), Stop::Over),
        (&CHAT, chat("length"), Stop::Length),
        (&CHAT, chat("content_filter"), Stop::Refusal),
        (&MESSAGES, message("end_turn"), Stop::Over),
        (&MESSAGES, message("max_tokens"), Stop::Length),
        (&MESSAGES, message("refusal"), Stop::Refusal),
        (&RESPONSES, response("completed", ""), Stop::Over),
        (&RESPONSES, response("incomplete", "max_output_tokens"), Stop::Length),
        (&RESPONSES, response("incomplete", "content_filter"), Stop::Refusal),
        (&RESPONSES, refused, Stop::Refusal),
    ] {
        assert_eq!((format.hear)(&document).map(|heard| heard.stop), Some(stop), "{document}");
    }
}

#[test]
fn a_stream_without_its_end_is_no_answer_where_the_format_has_ends() {
    let reply = Reply { text: "half".to_owned(), ..Reply::default() };
    for format in [&MESSAGES, &RESPONSES] {
        let documents = documents(format, &Asked::default(), &reply);
        let cut: Vec<&Value> = documents.iter().take(documents.len() - 2).collect();
        assert_eq!((format.gather)(&cut), None, "{}", format.name);
    }
}

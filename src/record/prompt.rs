//! What the prompts of a trial said, each part of them once. Knows no wire format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::source::Files;

/// Bytes of one trial's prompts that are kept (256 KiB).
pub(super) const MAX_KEPT: usize = 256 * 1024;
/// What a part or a span of parts counts at least.
const LEAST: usize = 16;

/// What one request to the model said.
///
/// A prompt repeats the one before and adds to it, so a part (a message, the definition of a tool, any other value of the
/// request) stands on record where it first came up; all requests of the trial then name it by its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The number of the first new part: parts are numbered through the trial, from 0.
    #[serde(default)]
    pub first: u32,
    /// Parts that no request of the trial had before. `null` stands for one that was too long to be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new: Vec<Value>,
    /// Each field of the request by the numbers of its parts.
    pub fields: BTreeMap<String, Parts>,
    /// How many parts are not kept, because the trial's prompts are longer than 256 KiB altogether.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out: u32,
}

/// Where the value of a field is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parts {
    /// It is this part.
    One(u32),
    /// It is a list of these: spans from a number to another, both among them.
    List(Vec<[u32; 2]>),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

impl Said {
    /// What is new, with the field of the request in which it stands.
    pub fn told(&self) -> impl Iterator<Item = (&str, &Value)> {
        let new = |number: u32| self.new.get(usize::try_from(number.checked_sub(self.first)?).ok()?);
        self.fields.iter().flat_map(move |(field, parts)| {
            let spans = match parts {
                Parts::One(number) => std::slice::from_ref(number).iter().map(|at| [*at, *at]).collect(),
                Parts::List(spans) => spans.clone(),
            };
            let numbers = spans.into_iter().flat_map(|[from, to]| from..=to);
            numbers.filter_map(new).map(|part| (field.as_str(), part))
        })
    }
}

/// The parts of a trial's prompts that were seen so far.
#[derive(Debug, Default)]
pub struct Prompts {
    /// Numbers by digest.
    numbers: BTreeMap<String, u32>,
    next: u32,
    size: usize,
}

impl Prompts {
    /// Takes one request apart.
    pub fn take(&mut self, request: Map<String, Value>) -> Said {
        let mut said = Said { first: self.next, ..Said::default() };
        for (field, value) in request {
            let parts = match value {
                Value::Array(items) => Some(Parts::List(self.spans(items, &mut said))),
                value => self.part(value, &mut said).map(Parts::One),
            };
            said.fields.extend(parts.map(|parts| (field, parts)));
        }
        said
    }

    fn spans(&mut self, items: Vec<Value>, said: &mut Said) -> Vec<[u32; 2]> {
        let mut spans: Vec<[u32; 2]> = Vec::new();
        for item in items {
            let Some(number) = self.part(item, said) else { continue };
            match spans.last_mut() {
                Some([_, last]) if *last + 1 == number => *last = number,
                _ if self.fits(LEAST) => {
                    self.size += LEAST;
                    spans.push([number, number]);
                }
                _ => said.left_out += 1,
            }
        }
        spans
    }

    /// The number of a part; nothing where not even its place can be kept.
    fn part(&mut self, value: Value, said: &mut Said) -> Option<u32> {
        let text = value.to_string();
        let digest = Files::digest(&text);
        if let Some(number) = self.numbers.get(&digest) {
            return Some(*number);
        }
        let whole = text.len() + LEAST;
        let (kept, size) = if self.fits(whole) { (value, whole) } else { (Value::Null, LEAST) };
        said.left_out += u32::from(size < whole);
        if !self.fits(size) {
            return None;
        }
        self.size += size;
        let number = self.next;
        self.next += 1;
        self.numbers.insert(digest, number);
        said.new.push(kept);
        Some(number)
    }

    fn fits(&self, size: usize) -> bool {
        self.size + size <= MAX_KEPT
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A request put together again from its parts.
    fn whole(parts: &[Value], said: &Said) -> Map<String, Value> {
        let part = |number: u32| parts[number as usize].clone();
        let value = |parts: &Parts| match parts {
            Parts::One(number) => part(*number),
            Parts::List(spans) => spans.iter().flat_map(|[from, to]| *from..=*to).map(part).collect(),
        };
        said.fields.iter().map(|(field, parts)| (field.clone(), value(parts))).collect()
    }

    fn fields(request: &Value) -> Map<String, Value> {
        request.as_object().expect("an object").clone()
    }

    fn taken(requests: &[Value]) -> Vec<Said> {
        let mut prompts = Prompts::default();
        requests.iter().map(|request| prompts.take(fields(request))).collect()
    }

    #[test]
    fn a_prompt_that_repeats_the_one_before_says_only_what_it_adds() {
        let (user, call, result) = (json!({"role": "user"}), json!({"role": "assistant"}), json!({"role": "tool"}));
        let tools = json!([{"name": "look"}, {"name": "pay"}]);
        let said = taken(&[
            json!({"model": "m", "messages": [user], "tools": tools}),
            json!({"model": "m", "messages": [user, call, result], "tools": tools}),
            json!({"model": "m", "messages": [user, call, result], "tools": tools}),
        ]);
        assert_eq!(said[0].new.len(), 4);
        let told: Vec<_> = said[1].told().collect();
        assert_eq!(told, [("messages", &call), ("messages", &result)]);
        assert_eq!((said[2].new.len(), said[2].fields == said[1].fields), (0, true), "asked again");
        assert_eq!(serde_json::to_value(&said[2].fields["messages"]).expect("JSON"), json!([[1, 1], [4, 5]]));
        assert_eq!(serde_json::to_value(&said[2].fields["model"]).expect("JSON"), json!(0));
    }

    #[test]
    fn what_is_too_long_is_left_out_and_said_to_be() {
        let (long, short) = ("x".repeat(MAX_KEPT), "y".repeat(100));
        let said = taken(&[json!({"messages": [long, short]}), json!({"messages": [long, short, "z"]})]);
        assert_eq!((&said[0].new, said[0].left_out), (&vec![Value::Null, json!(short)], 1));
        assert_eq!((&said[1].new, said[1].left_out), (&vec![json!("z")], 0));
    }

    #[test]
    fn a_flood_of_small_parts_stays_bounded() {
        let many: Vec<Value> = (0..30_000).map(Value::from).collect();
        let steps: Vec<Value> = (0..30_000).map(|at| Value::from(at % 2 * 2)).collect();
        let said = taken(&[json!({"input": many}), json!({"input": steps}), json!({"input": many})]);
        let size: usize = said.iter().map(|said| serde_json::to_string(said).expect("JSON").len()).sum();
        assert!(size < 2 * MAX_KEPT, "{size}");
        assert!(said.iter().all(|said| said.left_out > 10_000));
    }

    proptest! {
        #[test]
        fn each_request_can_be_put_together_again(
            requests in proptest::collection::vec(
                proptest::collection::btree_map("[a-c]", proptest::collection::vec(0_u8..6, 0..6), 0..3), 0..8),
            single in 0_u8..3,
        ) {
            let requests: Vec<Value> =
                requests.iter().map(|lists| {
                    let mut request = serde_json::to_value(lists).expect("JSON");
                    request["single"] = json!(single);
                    request
                }).collect();
            let said = taken(&requests);
            let parts: Vec<Value> = said.iter().flat_map(|said| said.new.clone()).collect();
            for (request, said) in requests.iter().zip(&said) {
                prop_assert_eq!(&whole(&parts, said), &fields(request));
                prop_assert_eq!(said.left_out, 0);
                let text = serde_json::to_string(said).expect("JSON");
                prop_assert_eq!(&serde_json::from_str::<Said>(&text).expect("reads back"), said);
            }
        }
    }
}

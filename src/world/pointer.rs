//! JSON Pointers into the state: written as templates, filled in per call, set and removed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value as Filling};
use serde_json::{Map, Value};

/// Gives out `re_1`, `re_2`, … per prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids(BTreeMap<String, u32>);

impl Ids {
    fn next(&mut self, prefix: &str) -> String {
        let count = self.0.entry(prefix.to_owned()).or_default();
        *count += 1;
        format!("{prefix}_{count}")
    }
}

/// A pointer with places to fill in. What is filled in is one key each: `/` and `~` in it are escaped.
#[derive(Clone, Debug)]
pub(super) struct PointerTemplate {
    source: String,
    /// `None` when there is nothing to fill in.
    environment: Option<Arc<Environment<'static>>>,
}

/// A filled-in pointer, and the last id that was made for it.
#[derive(Debug)]
pub(super) struct Pointed {
    pub(super) pointer: String,
    pub(super) id: Option<String>,
}

impl PointerTemplate {
    /// Parses a template that was found to be well-formed.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let fixed = ["{{", "{%", "{#"].iter().all(|mark| !source.contains(mark));
        if fixed {
            return Ok(Self { source: source.to_owned(), environment: None });
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(|out, _, value| {
            if value.is_undefined() || value.is_none() {
                return Err(Error::new(ErrorKind::UndefinedError, "a pointer needs a key, and there is none"));
            }
            let key = value.to_string().replace('~', "~0").replace('/', "~1");
            out.write_str(&key).map_err(Error::from)
        });
        environment.add_template_owned("pointer", source.to_owned()).map_err(|error| worded(&error))?;
        Ok(Self { source: source.to_owned(), environment: Some(Arc::new(environment)) })
    }

    /// Fills in `args`, the lets and what `new_id(prefix)` makes.
    pub(super) fn fill(&self, names: &BTreeMap<String, Value>, ids: &mut Ids) -> Result<Pointed, String> {
        let Some(environment) = &self.environment else {
            return Ok(Pointed { pointer: self.source.clone(), id: None });
        };
        let made = Arc::new(Mutex::new((std::mem::take(ids), None::<String>)));
        let maker = Arc::clone(&made);
        let mut fillings: BTreeMap<&str, Filling> =
            names.iter().map(|(name, value)| (name.as_str(), Filling::from(minijinja::value::Serde(value)))).collect();
        fillings.insert(
            "new_id",
            Filling::from_function(move |prefix: String| {
                let mut made = maker.lock().unwrap_or_else(PoisonError::into_inner);
                let id = made.0.next(&prefix);
                made.1 = Some(id.clone());
                id
            }),
        );
        let template = environment.get_template("pointer").map_err(|error| worded(&error))?;
        let pointer = template.render(Filling::from(fillings)).map_err(|error| worded(&error));
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        *ids = std::mem::take(&mut made.0);
        Ok(Pointed { pointer: pointer?, id: made.1.take() })
    }
}

fn worded(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn keys(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"))
}

/// Puts a value at a pointer; maps on the way are made, `-` appends to a list.
pub(super) fn set(state: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let mut place = state;
    for key in keys(pointer) {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(entries) => entries.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let index = if key == "-" { Some(items.len()) } else { key.parse::<usize>().ok() };
                if key == "-" {
                    items.push(Value::Null);
                }
                index
                    .and_then(|index| items.get_mut(index))
                    .ok_or_else(|| format!("`{pointer}`: the list has no item `{key}`"))?
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(format!("`{pointer}`: there is no map to hold `{key}`"));
            }
        };
    }
    *place = value;
    Ok(())
}

/// Takes out what stands at a pointer; nothing happens when nothing does.
pub(super) fn remove(state: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match state.pointer_mut(parent) {
        Some(Value::Object(entries)) => {
            entries.shift_remove(&key);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = key.parse::<usize>().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{Ids, PointerTemplate, remove, set};

    #[test]
    fn what_is_filled_in_is_one_key() {
        let names = BTreeMap::from([("args".to_owned(), json!({"id": "a/b~c", "n": 7}))]);
        let mut ids = Ids::default();
        for (template, expected) in [
            ("/orders/{{ args.id }}/note", "/orders/a~1b~0c/note"),
            ("/orders/{{ args.n }}", "/orders/7"),
            ("/refunds/{{ new_id('re') }}", "/refunds/re_1"),
            ("/refunds/{{ new_id('re') }}/{{ new_id('x') }}", "/refunds/re_2/x_1"),
            ("/fixed", "/fixed"),
        ] {
            let pointed = PointerTemplate::parse(template).expect(template).fill(&names, &mut ids).expect(template);
            assert_eq!(pointed.pointer, expected);
        }
        assert!(PointerTemplate::parse("/{{ args.none }}").expect("parses").fill(&names, &mut ids).is_err());
    }

    #[test]
    fn setting_makes_maps_and_never_breaks_other_values() {
        let start = json!({"a": {"b": 1}, "list": [1], "text": "x", "nothing": null});
        for (pointer, expected) in [
            ("/a/b", Some(json!({"a": {"b": 9}, "list": [1], "text": "x", "nothing": null}))),
            ("/new/deep", Some(json!({"a": {"b": 1}, "list": [1], "text": "x", "nothing": null, "new": {"deep": 9}}))),
            ("/list/-", Some(json!({"a": {"b": 1}, "list": [1, 9], "text": "x", "nothing": null}))),
            ("/list/0", Some(json!({"a": {"b": 1}, "list": [9], "text": "x", "nothing": null}))),
            ("/nothing/k", Some(json!({"a": {"b": 1}, "list": [1], "text": "x", "nothing": {"k": 9}}))),
            ("/a/x~1y", Some(json!({"a": {"b": 1, "x/y": 9}, "list": [1], "text": "x", "nothing": null}))),
            ("/list/4", None),
            ("/text/k", None),
        ] {
            let mut state = start.clone();
            let done = set(&mut state, pointer, json!(9)).ok().map(|()| state);
            assert_eq!(done, expected, "{pointer}");
        }
    }

    #[test]
    fn removing_takes_out_only_what_is_there() {
        let cases: [(&str, Value); 4] = [
            ("/a/b", json!({"a": {}, "list": [1, 2]})),
            ("/list/0", json!({"a": {"b": 1}, "list": [2]})),
            ("/list/7", json!({"a": {"b": 1}, "list": [1, 2]})),
            ("/none/x", json!({"a": {"b": 1}, "list": [1, 2]})),
        ];
        for (pointer, expected) in cases {
            let mut state = json!({"a": {"b": 1}, "list": [1, 2]});
            remove(&mut state, pointer);
            assert_eq!(state, expected, "{pointer}");
        }
    }
}

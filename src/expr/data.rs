//! JSON as values of the expression language, and back. Lent values borrow their texts from the JSON, so that a large
//! document is bound without copying it. Must not know of expressions.

use std::sync::Arc;

use cel::{
    Value as Cel,
    common::{
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString},
        value::Val,
    },
    objects::{Key, Map},
};
use serde_json::Value;

use super::{ExprError, shared::Shared};

/// A value of the language.
pub(super) type Data<'v> = Box<dyn Val + 'v>;

/// JSON with its texts borrowed.
pub(super) fn lent(value: &Value) -> Data<'_> {
    match value {
        Value::Array(_) | Value::Object(_) => Shared::lent(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => level(value),
    }
}

/// One level of JSON: a list or map of what is lent.
pub(super) fn level(value: &Value) -> Data<'_> {
    match value {
        Value::Array(items) => Box::new(CelList::from(items.iter().map(lent).collect::<Vec<Data<'_>>>())),
        Value::Object(entries) => {
            let entry = |(key, value)| (CelMapKey::String(CelString::from(String::as_str(key))), lent(value));
            let mut map = CelMap::default().into_inner();
            map.extend(entries.iter().map(entry));
            Box::new(CelMap::from(map))
        }
        scalar => made(scalar, &|text| CelString::from(text)),
    }
}

/// JSON with its texts copied.
pub(super) fn owned(value: &Value) -> Data<'static> {
    made(value, &|text| CelString::from(text.to_owned()))
}

/// Whole numbers become `int`, others `double`.
fn made<'j, 'v>(value: &'j Value, text: &impl Fn(&'j str) -> CelString<'v>) -> Data<'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Box::new(CelInt::from(whole)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(leaf) => Box::new(text(leaf)),
        Value::Array(items) => {
            Shared::boxed(CelList::from(items.iter().map(|item| made(item, text)).collect::<Vec<Data<'v>>>()))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&'j String, &'j Value)| (CelMapKey::String(text(key)), made(value, text));
            let mut map = CelMap::default().into_inner();
            map.extend(entries.iter().map(entry));
            Shared::boxed(CelMap::from(map))
        }
    }
}

/// What a function of ours gives back.
pub(super) fn answer(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Cel::Float(number.as_f64().unwrap_or(f64::NAN)), Cel::Int)
        }
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(answer).collect())),
        Value::Object(entries) => {
            let map = entries.iter().map(|(key, value)| (Key::String(Arc::new(key.clone())), answer(value))).collect();
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}

/// A value as JSON with sorted keys.
pub(super) fn json(value: &dyn Val) -> Result<Value, ExprError> {
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let entries = map.inner().iter().map(|(key, value)| Ok((key_text(key), json(value.as_ref())?)));
        let mut entries: Vec<(String, Value)> = entries.collect::<Result<_, ExprError>>()?;
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Value::Object(entries.into_iter().collect()))
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        list.inner().iter().map(|item| json(item.as_ref())).collect::<Result<_, _>>().map(Value::Array)
    } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        Ok(Value::String(text.inner().to_owned()))
    } else {
        let plain = Cel::try_from(value).ok().and_then(|plain| plain.json().ok());
        plain.ok_or_else(|| ExprError::Evaluation(format!("{} is no JSON value", kind_of(value))))
    }
}

/// A value given to one of our functions, as JSON.
pub(super) fn argument(value: &Cel) -> Result<Value, ExprError> {
    match value {
        Cel::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| Ok((key.to_string(), argument(value)?)));
            let mut entries: Vec<(String, Value)> = entries.collect::<Result<_, ExprError>>()?;
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(Value::Object(entries.into_iter().collect()))
        }
        Cel::List(items) => items.iter().map(argument).collect::<Result<_, _>>().map(Value::Array),
        other => other.json().map_err(|error| ExprError::Evaluation(format!("the argument is no JSON value: {error}"))),
    }
}

fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::Bool(flag) => flag.inner().to_string(),
        CelMapKey::Int(number) => number.inner().to_string(),
        CelMapKey::UInt(number) => number.inner().to_string(),
        CelMapKey::String(text) => text.inner().to_owned(),
    }
}

/// The kind of a value, for people.
pub(super) fn kind_of(value: &dyn Val) -> &'static str {
    match value.get_type().name() {
        "list" => "a list",
        "map" => "a map",
        "int" | "uint" | "double" => "a number",
        "string" => "text",
        "bool" => "true or false",
        "null_type" => "null",
        _ => "another value",
    }
}

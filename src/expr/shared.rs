//! A list or map that is copied by reference: the interpreter clones each item that a comprehension goes through, and a
//! tool of a manifest is a large item. What is lent is converted level by level, when an expression first looks into it:
//! of a large document most is never asked for. Must not behave otherwise than the value inside.

use std::sync::{Arc, OnceLock};

use cel::{
    ExecutionError,
    common::{
        traits::{Adder, Container, Indexer, Iterable, Sizer, Zeroer},
        types::{DYN_TYPE, LIST_TYPE, MAP_TYPE, Type},
        value::{Builtin, BuiltinRef, CowVal, Val},
    },
};
use serde_json::Value;

use super::data::{self, Data};

/// A value behind a reference count.
#[derive(Clone, Debug)]
pub(super) struct Shared<'v>(Arc<Level<'v>>);

/// One list or map, without what stands below it until that is asked for.
#[derive(Debug)]
struct Level<'v> {
    json: &'v Value,
    made: OnceLock<Data<'v>>,
}

/// Stands for the JSON of what was converted at once.
static NOTHING: Value = Value::Null;

impl<'v> Shared<'v> {
    /// Takes a list or a map.
    pub(super) fn boxed(inner: impl Val + 'v) -> Data<'v> {
        let made: Data<'v> = Box::new(inner);
        Box::new(Self(Arc::new(Level { json: &NOTHING, made: OnceLock::from(made) })))
    }

    /// Lends a list or a map of JSON.
    pub(super) fn lent(json: &'v Value) -> Data<'v> {
        Box::new(Self(Arc::new(Level { json, made: OnceLock::new() })))
    }

    fn inner(&self) -> &(dyn Val + 'v) {
        self.0.made.get_or_init(|| data::level(self.0.json)).as_ref()
    }
}

impl Val for Shared<'_> {
    fn get_type(&self) -> &Type {
        match self.0.json {
            Value::Object(_) => &MAP_TYPE,
            Value::Array(_) => &LIST_TYPE,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.inner().get_type(),
        }
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_adder<'b, 'w>(&'b self) -> Option<&'b (dyn Adder + 'w)>
    where
        Self: 'w,
    {
        self.inner().as_adder()
    }

    fn as_container(&self) -> Option<&dyn Container> {
        self.inner().as_container()
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        self.inner().as_indexer()
    }

    fn into_indexer<'w>(self: Box<Self>) -> Option<Box<dyn Indexer + 'w>>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        self.inner().as_iterable()
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.inner().as_sizer()
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        self.inner().as_zeroer()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        self.inner().equals(other)
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }

    /// What makes it a list or a map to the interpreter and to every function.
    fn as_builtin<'b, 'w>(&'b self) -> BuiltinRef<'b, 'w>
    where
        Self: 'w,
    {
        self.inner().as_builtin()
    }

    fn into_builtin<'w>(self: Box<Self>) -> Option<Builtin<'w>>
    where
        Self: 'w,
    {
        self.inner().clone_as_boxed().into_builtin()
    }
}

impl Indexer for Shared<'_> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        match self.inner().as_indexer() {
            Some(inner) => inner.get(key),
            None => Err(ExecutionError::NoSuchKey(Arc::new(String::new()))),
        }
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::expr::{Expr, ExprError, Scope};

    /// Written out, a value is the interpreter's own; bound, it is a shared one.
    #[test]
    fn a_bound_value_behaves_as_one_that_is_written_out() {
        let written = "{'list': ['a', {'n': 1}, [2, 3]], 'map': {'k': {'deep': [1.5]}}, 'empty': [], 'none': {}}";
        let bound: Value =
            json!({"list": ["a", {"n": 1}, [2, 3]], "map": {"k": {"deep": [1.5]}}, "empty": [], "none": {}});
        let own = Scope::new();
        let mut lent = Scope::new();
        lent.lend("x", &bound);
        let copied = Scope::new().with("x", &bound);
        let eval = |source: &str, scope: &Scope<'_>| -> Result<Value, ExprError> { Expr::parse(source)?.eval(scope) };
        for source in [
            "x",
            "x.list == ['a', {'n': 1}, [2, 3]] && ['a', {'n': 1}, [2, 3]] == x.list",
            "[2, 3] in x.list && {'n': 1} in x.list && !([3, 2] in x.list)",
            "[2, 3] in [x.list[2]] && x.list[2] in [[2, 3]]",
            "x.empty == [] && [] == x.empty && {} == x.none && x.none != x.map",
            "[x.list[2], x.map] == [[2, 3], {'k': {'deep': [1.5]}}]",
            "x.list[2] + [4] + x.list[2]",
            "[4] + x.list[2]",
            "size(x.list) + x.map.size() + size(x.list[2])",
            "x.list.map(i, i)[1].n",
            "x.list.filter(i, i != 'a').map(i, i)",
            "x.map.exists(k, x.map[k].deep[0] > 1.0) && x.list.all(i, i == i)",
            "has(x.map.k) && !has(x.map.gone) && has(x.list[1].n)",
            "[x][0].list[1]",
            "{'again': x.map}.again.k.deep",
            "x.list[2].sum()",
            "x.pointer('/map/k/deep/0')",
            "type(x.list) == list && type(x.map) == map",
            "'k' in x.map && !('z' in x.map)",
            "x.map.gone",
            "x.list[9]",
            "x.list.n",
            "x + 1",
        ] {
            // As a loop's variable it is used as the bound one, although it is the interpreter's own.
            let expected = eval(&format!("[{written}].map(x, {source})[0]"), &own);
            for scope in [&lent, &copied] {
                match (eval(source, scope), &expected) {
                    (Ok(seen), Ok(expected)) => assert_eq!(seen, *expected, "{source}"),
                    (Err(_), Err(_)) => {}
                    (seen, expected) => panic!("{source}: {seen:?}, not {expected:?}"),
                }
            }
        }
    }
}

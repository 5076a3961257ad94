//! Answers that hold for many items: an expression that is asked of a list's items reads few fields of them, and of items
//! that are alike in these one is asked. Must not answer otherwise than the expression would.

use std::{cell::RefCell, collections::BTreeMap};

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr as Tree, LiteralValue, operators},
};
use serde_json::Value;

use super::{Expr, ExprError, Item, Scope};

/// Most entries of a list or map that is compared as a whole.
const MOST_ENTRIES: usize = 8;
/// How many different items are asked before it shows whether there are alike ones.
const TRIED: usize = 48;

/// What was answered of the items of a list.
#[derive(Debug)]
pub struct Alike {
    /// The fields that the expression reads; nothing when it looks at the items as a whole.
    reads: Option<Vec<Vec<String>>>,
    known: RefCell<Known>,
}

#[derive(Debug, Default)]
struct Known {
    answers: BTreeMap<String, Result<bool, ExprError>>,
    hits: usize,
}

impl Alike {
    /// For an expression that sees the items under a name.
    pub fn new(expr: &Expr, name: &str) -> Self {
        let mut reads = Vec::new();
        let is_known = gather(expr.direct(), name, &mut reads);
        reads.sort();
        reads.dedup();
        Self { reads: is_known.then_some(reads), known: RefCell::default() }
    }

    /// Tests the expression for an item that the scope shows. Nothing else in the scope may differ between items but what
    /// `beside` names.
    pub fn test(&self, expr: &Expr, (scope, item): (&Scope<'_>, &Item<'_>), beside: &str) -> Result<bool, ExprError> {
        let Some(key) = self.key(item, beside) else { return expr.test(scope) };
        if let Some(answer) = self.known(&key) {
            return answer;
        }
        let answer = expr.test(scope);
        self.known.borrow_mut().answers.insert(key, answer.clone());
        answer
    }

    fn known(&self, key: &str) -> Option<Result<bool, ExprError>> {
        let mut known = self.known.borrow_mut();
        let answer = known.answers.get(key)?.clone();
        known.hits += 1;
        Some(answer)
    }

    /// What the expression reads of an item of the document; nothing where that is long, or where no two items were alike so
    /// far.
    fn key(&self, item: &Item<'_>, beside: &str) -> Option<String> {
        let (reads, json) = (self.reads.as_ref()?, item.json()?);
        {
            let known = self.known.borrow();
            if known.answers.len() >= TRIED && known.hits < known.answers.len() {
                return None;
            }
        }
        let mut key = beside.to_owned();
        reads.iter().all(|path| push_field(json, path, &mut key)).then_some(key)
    }
}

/// Adds what stands at a path, or what stands in the way; false where that is long.
fn push_field(value: &Value, path: &[String], key: &mut String) -> bool {
    let Some((field, rest)) = path.split_first() else { return push(value, key) };
    let Value::Object(map) = value else {
        key.push('!');
        key.push_str(&path.len().to_string());
        return push(value, key);
    };
    if let Some(inner) = map.get(field) {
        return push_field(inner, rest, key);
    }
    // A missing field of what is there is another thing than a field of what is missing.
    key.push('-');
    key.push_str(&rest.len().to_string());
    true
}

fn push(value: &Value, key: &mut String) -> bool {
    match value {
        Value::Null => key.push('n'),
        Value::Bool(flag) => key.push(if *flag { 't' } else { 'f' }),
        Value::Number(number) => {
            key.push('#');
            key.push_str(&number.to_string());
        }
        Value::String(text) => {
            // With its length, so that no text reads as two.
            key.push('"');
            key.push_str(&text.len().to_string());
            key.push(':');
            key.push_str(text);
        }
        Value::Array(items) => {
            key.push('[');
            key.push_str(&items.len().to_string());
            return items.len() <= MOST_ENTRIES && items.iter().all(|item| push(item, key));
        }
        Value::Object(entries) => {
            key.push('{');
            key.push_str(&entries.len().to_string());
            let mut entries = entries.iter();
            return entries.len() <= MOST_ENTRIES
                && entries.all(|(name, value)| {
                    key.push_str(&name.len().to_string());
                    key.push(':');
                    key.push_str(name);
                    push(value, key)
                });
        }
    }
    true
}

/// The paths below `name` that an expression reads; false where it looks at all of it.
fn gather(tree: &IdedExpr, name: &str, reads: &mut Vec<Vec<String>>) -> bool {
    if let Some(path) = path_of(tree, name) {
        reads.push(path);
        return true;
    }
    match &tree.expr {
        Tree::Unspecified | Tree::Literal(_) => true,
        Tree::Ident(ident) => ident != name,
        Tree::Call(call) => {
            call.target.iter().map(AsRef::as_ref).chain(&call.args).all(|part| gather(part, name, reads))
        }
        Tree::Comprehension(looped) => {
            let hides = looped.iter_var == name || looped.accu_var == name || looped.iter_var2.as_deref() == Some(name);
            let parts = [&looped.iter_range, &looped.accu_init, &looped.loop_cond, &looped.loop_step, &looped.result];
            !hides && parts.into_iter().all(|part| gather(part, name, reads))
        }
        Tree::List(list) => list.elements.iter().all(|item| gather(item, name, reads)),
        Tree::Map(map) => map.entries.iter().all(|entry| entry_of(&entry.expr, name, reads)),
        Tree::Struct(made) => made.entries.iter().all(|entry| entry_of(&entry.expr, name, reads)),
        Tree::Select(select) => gather(&select.operand, name, reads),
    }
}

fn entry_of(entry: &EntryExpr, name: &str, reads: &mut Vec<Vec<String>>) -> bool {
    match entry {
        EntryExpr::StructField(field) => gather(&field.value, name, reads),
        EntryExpr::MapEntry(pair) => gather(&pair.key, name, reads) && gather(&pair.value, name, reads),
    }
}

/// The fields of `name["a"]["b"]` or `has(name["a"].b)`, in order.
fn path_of(tree: &IdedExpr, name: &str) -> Option<Vec<String>> {
    let (operand, field) = match &tree.expr {
        Tree::Select(select) => (select.operand.as_ref(), select.field.clone()),
        Tree::Call(call) if call.func_name == operators::INDEX && call.target.is_none() => {
            let [operand, key] = call.args.as_slice() else { return None };
            let Tree::Literal(LiteralValue::String(field)) = &key.expr else { return None };
            (operand, field.inner().to_owned())
        }
        _ => return None,
    };
    let mut path = match &operand.expr {
        Tree::Ident(ident) if ident == name => Vec::new(),
        _ => path_of(operand, name)?,
    };
    path.push(field);
    Some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// An error without the values that it prints: those of a map have no order.
    fn kind(error: ExprError) -> ExprError {
        match error {
            ExprError::Evaluation(_) => ExprError::Evaluation(String::new()),
            other => other,
        }
    }

    /// How often the expression was not asked, for items in a scope.
    fn spared(source: &str, items: &Value) -> usize {
        let expr = Expr::parse(source).expect("an expression");
        let alike = Alike::new(&expr, "it");
        let mut scope = Scope::new();
        scope.lend("items", items);
        scope.set("limit", &json!(2));
        let members = scope.members("items").expect("a list");
        for position in 0..items.as_array().expect("a list").len() {
            let item = members.item("it", position).expect("an item");
            let shown = scope.showing(&item);
            let (seen, expected) = (alike.test(&expr, (&shown, &item), ""), expr.test(&shown));
            assert_eq!(seen.map_err(kind), expected.map_err(kind), "{source} of item {position}");
        }
        alike.known.borrow().hits
    }

    #[test]
    fn items_that_are_alike_in_what_is_read_are_asked_once() {
        let items: Value =
            (0..100).map(|n| json!({"name": format!("t{n}"), "n": n % 2, "of": {"a": [n % 3]}})).collect();
        for (source, expected) in [
            ("it.n > 0", 98),
            ("it['n'] > limit", 98),
            ("has(it.of.a) && it.of.a[0] == it.n", 94),
            ("items.exists(i, i.n == it.n)", 98),
            ("has(it.gone) || has(it.gone.more)", 99),
            ("it.gone.more == 1", 99),
            ("it.name == 't7' && it.n == 1", 0),
            ("it == items[0]", 0),
            ("it.of == {'a': [1]}", 97),
            ("size(it) == 3", 0),
            ("[1].exists(it, it == 1)", 0),
            ("true", 99),
        ] {
            assert_eq!(spared(source, &items), expected, "{source}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2_i64..3).prop_map(Value::from),
            Just(json!(1.5)),
            "[a1\":]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_item_is_answered_otherwise_than_the_expression_would(
            items in prop::collection::vec(values(), 1..12),
        ) {
            let items = Value::from(items);
            for source in [
                "it.a == 1", "has(it.a) && it.a", "has(it.a.b)", "it.a.b == it.c", "it.b + it.c == 'a1'", "size(it.a) == 1",
                "it.a in [1, 'a', null]", "it.a == [] || it.b == {}", "!it.a", "it.a < it.b", "it.a.exists(x, x == it.b)",
            ] {
                spared(source, &items);
            }
        }
    }
}

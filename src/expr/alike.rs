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
    /// What the expression reads of an item; nothing when it looks at the items as a whole.
    reads: Option<Vec<Read>>,
    known: RefCell<Known>,
}

/// One thing that an expression reads of an item.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    /// What stands at a path of the item, or only whether something does.
    Field(Vec<String>, Look),
    /// `facts.lock[it.name].holds`: what stands at a path below the entry that a field of the item names.
    Entry { of: Vec<String>, named: Vec<String>, path: Vec<String>, look: Look },
    /// `it.name in facts.unnamed`: whether a field of the item is among those of a list or a map.
    Member { of: Vec<String>, named: Vec<String> },
}

/// How closely something is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    Whole,
    Presence,
}

#[derive(Debug, Default)]
struct Known {
    answers: BTreeMap<String, Result<bool, ExprError>>,
    hits: usize,
}

impl Alike {
    /// For an expression that sees the items under a name.
    pub fn new(expr: &Expr, name: &str) -> Self {
        let mut search = Search { name, bound: Vec::new(), reads: Vec::new() };
        let is_known = search.gather(expr.direct());
        let mut reads = search.reads;
        reads.sort();
        reads.dedup();
        Self { reads: is_known.then_some(reads), known: RefCell::default() }
    }

    /// Tests the expression for an item that the scope shows. Nothing else in the scope may differ between items but what
    /// `beside` names. A missing key may bear the name that it has for another item.
    pub fn test(&self, expr: &Expr, (scope, item): (&Scope<'_>, &Item<'_>), beside: &str) -> Result<bool, ExprError> {
        let Some(key) = self.key((scope, item), beside) else { return expr.test(scope) };
        if let Some(answer) = self.known(&key) {
            return answer;
        }
        let answer = expr.test(scope);
        // Such an error tells of the values themselves.
        if !matches!(answer, Err(ExprError::Evaluation(_))) || self.is_of_fields() {
            self.known.borrow_mut().answers.insert(key, answer.clone());
        }
        answer
    }

    fn is_of_fields(&self) -> bool {
        let is_whole = |read: &Read| matches!(read, Read::Field(_, Look::Whole));
        self.reads.iter().flatten().all(is_whole)
    }

    fn known(&self, key: &str) -> Option<Result<bool, ExprError>> {
        let mut known = self.known.borrow_mut();
        let answer = known.answers.get(key)?.clone();
        known.hits += 1;
        Some(answer)
    }

    /// What the expression reads of an item of the document; nothing where that is long, or where no two items were alike so
    /// far.
    fn key(&self, (scope, item): (&Scope<'_>, &Item<'_>), beside: &str) -> Option<String> {
        let (reads, json) = (self.reads.as_ref()?, item.json()?);
        {
            let known = self.known.borrow();
            if known.answers.len() >= TRIED && known.hits < known.answers.len() {
                return None;
            }
        }
        let mut key = beside.to_owned();
        reads.iter().all(|read| read.push((scope, json), &mut key)).then_some(key)
    }
}

impl Read {
    /// Adds what is read; false where that is long.
    fn push(&self, (scope, item): (&Scope<'_>, &Value), key: &mut String) -> bool {
        match self {
            Self::Field(path, look) => push_field(item, path, *look, key),
            Self::Entry { of, named, path, look } => match (scope.json(of), text_at(item, named)) {
                (Some(Value::Object(entries)), Some(name)) => {
                    key.push('.');
                    let Some(entry) = entries.get(name) else {
                        key.push('-');
                        return true;
                    };
                    push_field(entry, path, *look, key)
                }
                _ => push_field(item, named, Look::Whole, key),
            },
            Self::Member { of, named } => {
                let name = text_at(item, named);
                let is_among = name.and_then(|name| match scope.json(of)? {
                    Value::Object(entries) => Some(entries.contains_key(name)),
                    Value::Array(items) => Some(items.iter().any(|item| item.as_str() == Some(name))),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
                });
                let Some(is_among) = is_among else { return push_field(item, named, Look::Whole, key) };
                key.push(if is_among { 'i' } else { 'o' });
                true
            }
        }
    }
}

fn text_at<'v>(value: &'v Value, path: &[String]) -> Option<&'v str> {
    path.iter().try_fold(value, |found, field| found.get(field))?.as_str()
}

/// Adds what stands at a path, or what stands in the way; false where that is long.
fn push_field(value: &Value, path: &[String], look: Look, key: &mut String) -> bool {
    let Some((field, rest)) = path.split_first() else {
        return match (look, value) {
            (
                Look::Presence,
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
            ) => {
                key.push('+');
                true
            }
            (Look::Presence, Value::Null) | (Look::Whole, _) => spelled(value, key),
        };
    };
    let Value::Object(map) = value else {
        key.push('!');
        key.push_str(&path.len().to_string());
        return spelled(value, key);
    };
    if let Some(inner) = map.get(field) {
        return push_field(inner, rest, look, key);
    }
    // A missing field of what is there is another thing than a field of what is missing.
    key.push('-');
    key.push_str(&rest.len().to_string());
    true
}

/// Adds a value so that no two differing ones read alike; false where it is long.
pub fn spelled(value: &Value, key: &mut String) -> bool {
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
            return items.len() <= MOST_ENTRIES && items.iter().all(|item| spelled(item, key));
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
                    spelled(value, key)
                });
        }
    }
    true
}

/// What an expression reads of the items that it sees under a name.
struct Search<'a> {
    name: &'a str,
    /// Names that loops around the place bind.
    bound: Vec<&'a str>,
    reads: Vec<Read>,
}

impl<'a> Search<'a> {
    /// Adds what a part of the expression reads; false where it looks at all of an item.
    fn gather(&mut self, tree: &'a IdedExpr) -> bool {
        if let Some(read) = self.read(tree) {
            self.reads.push(read);
            return true;
        }
        match &tree.expr {
            Tree::Unspecified | Tree::Literal(_) => true,
            Tree::Ident(ident) => ident != self.name,
            Tree::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).all(|part| self.gather(part)),
            Tree::Comprehension(looped) => {
                let names = [Some(&looped.iter_var), looped.iter_var2.as_ref(), Some(&looped.accu_var)];
                let names = names.into_iter().flatten().map(String::as_str);
                if names.clone().any(|bound| bound == self.name) {
                    return false;
                }
                let outer = self.bound.len();
                self.bound.extend(names);
                let parts =
                    [&looped.iter_range, &looped.accu_init, &looped.loop_cond, &looped.loop_step, &looped.result];
                let is_known = parts.into_iter().all(|part| self.gather(part));
                self.bound.truncate(outer);
                is_known
            }
            Tree::List(list) => list.elements.iter().all(|item| self.gather(item)),
            Tree::Map(map) => map.entries.iter().all(|entry| self.entry(&entry.expr)),
            Tree::Struct(made) => made.entries.iter().all(|entry| self.entry(&entry.expr)),
            Tree::Select(select) => self.gather(&select.operand),
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> bool {
        match entry {
            EntryExpr::StructField(field) => self.gather(&field.value),
            EntryExpr::MapEntry(pair) => self.gather(&pair.key) && self.gather(&pair.value),
        }
    }

    fn read(&self, tree: &IdedExpr) -> Option<Read> {
        if let Tree::Call(call) = &tree.expr
            && call.func_name == operators::IN
            && let (None, [member, list]) = (&call.target, call.args.as_slice())
        {
            return Some(Read::Member { of: self.lent(list)?, named: self.own(member)? });
        }
        let look = if matches!(&tree.expr, Tree::Select(select) if select.test) { Look::Presence } else { Look::Whole };
        let mut path = Vec::new();
        let mut at = tree;
        loop {
            at = match step(at)? {
                (inner, Step::Field(field)) => {
                    path.insert(0, field.to_owned());
                    inner
                }
                (inner, Step::Entry(named)) => {
                    return Some(Read::Entry { of: self.lent(inner)?, named: self.own(named)?, path, look });
                }
            };
            if matches!(&at.expr, Tree::Ident(ident) if ident == self.name) {
                return Some(Read::Field(path, look));
            }
        }
    }

    /// The path of a field of the item.
    fn own(&self, tree: &IdedExpr) -> Option<Vec<String>> {
        match self.read(tree)? {
            Read::Field(path, Look::Whole) => Some(path),
            Read::Field(_, Look::Presence) | Read::Entry { .. } | Read::Member { .. } => None,
        }
    }

    /// The path of what is the same for all items, from a name that no loop binds.
    fn lent(&self, tree: &IdedExpr) -> Option<Vec<String>> {
        if let Tree::Ident(ident) = &tree.expr {
            return (ident != self.name && !self.bound.contains(&ident.as_str())).then(|| vec![ident.clone()]);
        }
        let (inner, Step::Field(field)) = step(tree)? else { return None };
        let mut path = self.lent(inner)?;
        path.push(field.to_owned());
        Some(path)
    }
}

/// The last step of a path.
enum Step<'t> {
    Field(&'t str),
    Entry(&'t IdedExpr),
}

/// What a path's last step is taken from, and the step: `["a"]`, `.a` in `has(…)`, or `[it.a]`.
fn step(tree: &IdedExpr) -> Option<(&IdedExpr, Step<'_>)> {
    match &tree.expr {
        Tree::Select(select) => Some((select.operand.as_ref(), Step::Field(&select.field))),
        Tree::Call(call) if call.func_name == operators::INDEX && call.target.is_none() => {
            let [operand, key] = call.args.as_slice() else { return None };
            Some(match &key.expr {
                Tree::Literal(LiteralValue::String(field)) => (operand, Step::Field(field.inner())),
                Tree::Literal(_) => return None,
                _ => (operand, Step::Entry(key)),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// An error without the values that it prints, which have no order in a map, and without the key, which an item's field
    /// may name.
    fn kind(error: ExprError) -> ExprError {
        match error {
            ExprError::Evaluation(_) => ExprError::Evaluation(String::new()),
            ExprError::Missing(_) => ExprError::Missing(String::new()),
            other @ ExprError::Syntax(_) => other,
        }
    }

    /// How often the expression was not asked, for items in a scope.
    fn spared(source: &str, items: &Value) -> usize {
        let expr = Expr::parse(source).expect("an expression");
        let alike = Alike::new(&expr, "it");
        let known = json!({
            "of": {"t1": {"ok": true}, "t2": {"ok": false}, "t3": {"ok": true, "more": [1]}, "a": {"ok": {"b": 1}}, "1": {}},
            "names": ["t4", "t5", "a", ""],
            "bare": {"t6": 1, "b": null},
        });
        let mut scope = Scope::new();
        scope.lend("items", items);
        scope.lend("known", &known);
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
            ("has(it.name)", 99),
            ("it.gone.more == 1", 99),
            ("it.name in known.names", 98),
            ("it.name in known.bare && it.n == 0", 97),
            ("!(it.name in known.of) || known.of[it.name].ok", 97),
            ("known.of[it.name].ok", 97),
            ("has(known.of[it.name].more)", 97),
            ("size(known.of[it.name].more) == 1", 97),
            ("it.name in known.gone", 0),
            ("limit in known.names || it.name == ''", 0),
            ("it.name in ['t1']", 0),
            ("items.exists(known, it.name in known.of)", 0),
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
                "it.a in known.names", "it.a in known.bare", "it.a in known.of", "known.of[it.a].ok", "has(known.of[it.a].ok)",
                "has(known.of[it.a].ok.b)", "known.of[it.a.b].ok == it.b", "known.names[it.a] == 'a'", "known.bare[it.a] == null",
                "has(it.a) && !(it.b in known.bare)",
            ] {
                spared(source, &items);
            }
        }
    }
}

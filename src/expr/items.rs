//! The list that a check goes through: `tools`, `tools.filter(t, …)`, or any expression that gives a list.

use cel::common::types::{CelList, CelMap, CelMapKey, CelString};
use serde_json::Value;

use super::{
    Alike, Expr, ExprError, Item, Scope,
    data::{self, Data},
};

/// An expression that gives a list. The common forms are asked item by item, because the interpreter copies every item of a
/// list that it filters.
#[derive(Clone, Debug)]
pub struct Items {
    whole: Expr,
    simple: Option<Simple>,
    /// What has to hold for the short form to be meant: `facts.lock.exists ? tools : […]`.
    guard: Option<Expr>,
}

/// The items of a list.
#[derive(Debug)]
pub enum Found<'v> {
    /// Items of a list that is bound in the scope, by its name and their positions.
    Members(String, Vec<usize>),
    /// Items that the expression made.
    Made(Made<'v>),
}

/// A list that an expression made; its items stay what the language made of them.
#[derive(Debug)]
pub struct Made<'v>(Data<'v>);

impl<'v> Made<'v> {
    fn items(&self) -> &[Data<'v>] {
        self.0.downcast_ref::<CelList<'v>>().map_or(&[], |list| list.inner())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items().is_empty()
    }

    /// One of the items, under a name of its own.
    pub fn item<'b>(&'b self, name: &'b str, position: usize) -> Option<Item<'b>> {
        Some(Item::new(name, self.items().get(position)?.as_ref()))
    }

    /// One of the items as JSON.
    pub fn json(&self, position: usize) -> Result<Value, ExprError> {
        self.items().get(position).map_or(Ok(Value::Null), |item| data::json(item.as_ref()))
    }

    /// Those of `fields` that one of the items has, as JSON; nothing when it is no map.
    pub fn fields<'f>(&self, position: usize, fields: impl Iterator<Item = &'f str>) -> Option<Vec<(&'f str, Value)>> {
        let map = self.items().get(position)?.downcast_ref::<CelMap<'v>>()?.inner();
        let found = fields.filter_map(|field| Some((field, map.get(&CelMapKey::String(field.into()))?)));
        found.map(|(field, value)| Some((field, data::json(value.as_ref()).ok()?))).collect()
    }

    /// A text of one of the items.
    pub fn text(&self, position: usize, key: &'static str) -> Option<&str> {
        let map = self.items().get(position)?.downcast_ref::<CelMap<'v>>()?;
        Some(map.inner().get(&CelMapKey::from(key))?.downcast_ref::<CelString<'v>>()?.inner())
    }
}

/// A named list and what its items are held to.
#[derive(Clone, Debug)]
struct Simple {
    list: String,
    condition: Option<(String, Expr)>,
}

impl Items {
    /// Takes a parsed expression.
    pub fn new(whole: Expr) -> Self {
        let source = whole.source().trim();
        let guarded = source.split_once('?').filter(|(guard, _)| is_path(guard.trim()));
        let guarded = guarded.and_then(|(guard, rest)| {
            let (then, _) = rest.split_once(" : ")?;
            Some((Expr::parse(guard).ok()?, Simple::of(then.trim())?))
        });
        match guarded {
            Some((guard, simple)) => Self { whole, simple: Some(simple), guard: Some(guard) },
            None => Self { simple: Simple::of(source), whole, guard: None },
        }
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        self.whole.source()
    }

    /// The items; nothing when the expression gives no list.
    pub fn find<'v>(&self, scope: &Scope<'v>) -> Result<Option<Found<'v>>, ExprError> {
        if let Some(simple) = &self.simple
            && self.guard.as_ref().is_none_or(|guard| guard.test(scope) == Ok(true))
            && scope.members(&simple.list).is_some_and(|members| members.item("", 0).is_some())
        {
            return simple.kept(scope).map(|kept| Some(Found::Members(simple.list.clone(), kept)));
        }
        let found = self.whole.made(scope)?;
        Ok(found.downcast_ref::<CelList<'_>>().is_some().then_some(Found::Made(Made(found))))
    }
}

impl Simple {
    fn of(source: &str) -> Option<Self> {
        if is_path(source) {
            return Some(Self { list: source.to_owned(), condition: None });
        }
        let (list, rest) = source.split_once(".filter(")?;
        let (item, condition) = rest.strip_suffix(')')?.split_once(',')?;
        let item = item.trim();
        // What follows a closed filter leaves its parentheses unbalanced here, which is no expression.
        let condition = Expr::parse(condition).ok()?;
        (is_path(list) && is_name(item))
            .then(|| Self { list: list.to_owned(), condition: Some((item.to_owned(), condition)) })
    }

    fn kept(&self, scope: &Scope<'_>) -> Result<Vec<usize>, ExprError> {
        let mut kept = Vec::new();
        let Some(members) = scope.members(&self.list) else { return Ok(kept) };
        let alike = self.condition.as_ref().map(|(name, condition)| (condition, Alike::new(condition, name)));
        for position in 0.. {
            let name = self.condition.as_ref().map_or("", |(name, _)| name.as_str());
            let Some(item) = members.item(name, position) else { break };
            let is_kept = match &alike {
                None => true,
                Some((condition, alike)) => alike.test(condition, (&scope.showing(&item), &item), "")?,
            };
            kept.extend(is_kept.then_some(position));
        }
        Ok(kept)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_path(text: &str) -> bool {
    text.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Expr, Found, Items, Scope};

    #[test]
    fn the_short_way_gives_what_the_expression_gives() {
        let tools = json!([{"name": "a", "n": 1}, {"name": "b", "n": 2}]);
        let facts = json!({"more": {"tools": tools}, "on": true, "off": false});
        let mut scope = Scope::new();
        scope.lend("tools", &tools);
        scope.lend("facts", &facts);
        for (source, is_short) in [
            ("tools", true),
            ("tools.filter(t, t.n > 1)", true),
            ("tools.filter(t, t.name in ['a', 'b'] && t.n < 2)", true),
            ("tools.filter(t, t.n > 1).filter(t, t.n < 3)", false),
            ("tools.filter(t, t.n > 1) + tools.filter(t, t.n < 2)", false),
            ("tools.map(t, {'name': t.name})", false),
            ("tools.filter(t, t.missing)", true),
            ("facts.more.tools", true),
            ("facts.more.tools.filter(t, t.n > 1)", true),
            ("facts.more.gone", false),
            ("facts.on ? tools.filter(t, t.n > 1) : [{'name': 'none'}]", true),
            ("facts.off ? tools : [{'name': 'none'}]", false),
            ("facts.off ? tools : facts.on ? tools : []", false),
            ("facts.on ? tools.filter(t, t.n > 1 ? true : false) : []", false),
            ("facts.gone ? tools : []", false),
            ("size(tools)", false),
        ] {
            let whole = Expr::parse(source).expect("an expression");
            let expected = whole.eval(&scope).map(|value| value.as_array().cloned());
            let found = Items::new(whole).find(&scope);
            assert_eq!(matches!(found, Ok(Some(Found::Members(..)))), is_short && expected.is_ok(), "{source}");
            let found = found.map(|found| {
                found.map(|found| match found {
                    Found::Made(made) => (0..made.len()).map(|at| made.json(at).expect("JSON")).collect::<Vec<Value>>(),
                    Found::Members(_, kept) => kept.iter().map(|at| tools[at].clone()).collect::<Vec<Value>>(),
                })
            });
            assert_eq!(found, expected, "{source}");
        }
    }
}

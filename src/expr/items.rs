//! The list that a check goes through: `tools`, `tools.filter(t, …)`, or any expression that gives a list.

use serde_json::Value;

use super::{Expr, ExprError, Scope};

/// An expression that gives a list. The two common forms are asked item by item, because the interpreter copies every
/// item of a list that it filters.
#[derive(Clone, Debug)]
pub struct Items {
    whole: Expr,
    simple: Option<Simple>,
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
        let simple = Simple::of(whole.source().trim());
        Self { whole, simple }
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        self.whole.source()
    }

    /// The items; `named` gives the JSON behind a name of the scope. Nothing when the expression gives no list.
    pub fn eval<'v>(
        &self,
        scope: &Scope<'_>,
        named: impl Fn(&str) -> Option<&'v Value>,
    ) -> Result<Option<Vec<Value>>, ExprError> {
        if let Some(simple) = &self.simple
            && let Some(Value::Array(items)) = named(&simple.list)
        {
            return simple.kept(items, scope).map(Some);
        }
        match self.whole.eval(scope)? {
            Value::Array(items) => Ok(Some(items)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Ok(None),
        }
    }
}

impl Simple {
    fn of(source: &str) -> Option<Self> {
        if is_name(source) {
            return Some(Self { list: source.to_owned(), condition: None });
        }
        let (list, rest) = source.split_once(".filter(")?;
        let (item, condition) = rest.strip_suffix(')')?.split_once(',')?;
        let item = item.trim();
        // What follows a closed filter leaves its parentheses unbalanced here, which is no expression.
        let condition = Expr::parse(condition).ok()?;
        (is_name(list) && is_name(item))
            .then(|| Self { list: list.to_owned(), condition: Some((item.to_owned(), condition)) })
    }

    fn kept(&self, items: &[Value], scope: &Scope<'_>) -> Result<Vec<Value>, ExprError> {
        let Some((name, condition)) = &self.condition else { return Ok(items.to_vec()) };
        let mut kept = Vec::new();
        for item in items {
            let mut inner = scope.inner();
            inner.set(name, item);
            if condition.test(&inner)? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Expr, Items, Scope};

    #[test]
    fn the_short_way_gives_what_the_expression_gives() {
        let tools = json!([{"name": "a", "n": 1}, {"name": "b", "n": 2}]);
        let scope = Scope::new().with("tools", &tools);
        for source in [
            "tools",
            "tools.filter(t, t.n > 1)",
            "tools.filter(t, t.name in ['a', 'b'] && t.n < 2)",
            "tools.filter(t, t.n > 1).filter(t, t.n < 3)",
            "tools.filter(t, t.n > 1) + tools.filter(t, t.n < 2)",
            "tools.map(t, {'name': t.name})",
            "tools.filter(t, t.missing)",
            "size(tools)",
        ] {
            let whole = Expr::parse(source).expect("an expression");
            let expected = whole.eval(&scope).map(|value| value.as_array().cloned());
            let named = |name: &str| (name == "tools").then_some(&tools);
            assert_eq!(Items::new(whole).eval(&scope, named), expected, "{source}");
        }
        let none = |_: &str| -> Option<&Value> { None };
        let items = Items::new(Expr::parse("tools").expect("an expression"));
        assert_eq!(items.eval(&scope, none), Ok(tools.as_array().cloned()));
    }
}

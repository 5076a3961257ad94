//! A parsed CEL expression and the variables it is evaluated over.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use cel::{
    Context, DeclarationError, ExecutionError, FunctionContext, IdedExpr, Value as Cel,
    common::{
        types::{CelBool, CelList, CelMap, CelMapKey},
        value::{CowVal, Val},
    },
    context::VariableResolver,
    extractors::{Arguments, This},
    parser::PrattParser,
};
use regex::Regex;
use serde_json::Value;

use super::{
    data::{self, Data, kind_of},
    direct::direct,
};

/// Why an expression could not be parsed or evaluated.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExprError {
    /// The text is not CEL.
    #[error("not a CEL expression: {0}")]
    Syntax(String),
    /// A key or variable that the expression names does not exist.
    #[error("{0} does not exist")]
    Missing(String),
    /// The values do not fit the operators.
    #[error("{0}")]
    Evaluation(String),
}

/// A CEL expression, parsed once.
#[derive(Clone)]
pub struct Expr {
    source: Arc<str>,
    direct: Arc<IdedExpr>,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({})", self.source)
    }
}

impl Expr {
    /// Parses CEL text.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        match PrattParser::new().parse(source) {
            Ok(tree) => Ok(Self { source: source.into(), direct: Arc::new(direct(tree)) }),
            Err(errors) => {
                let text = errors.to_string();
                let line = text.lines().next().unwrap_or_default();
                Err(ExprError::Syntax(line.trim_start_matches("ERROR: ").to_owned()))
            }
        }
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a name stands in it; where it stands in a text alone, too.
    pub fn mentions(&self, name: &str) -> bool {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.source.split(|c: char| !is_part(c)).any(|word| word == name)
    }

    /// The parsed form, as it is written.
    pub fn tree(&self) -> IdedExpr {
        PrattParser::new().parse(&self.source).expect("it was parsed before")
    }

    /// The parsed form, as it is evaluated.
    pub(super) fn direct(&self) -> &IdedExpr {
        &self.direct
    }

    /// Evaluates to a JSON value.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, ExprError> {
        data::json(self.value(scope)?.as_ref())
    }

    /// Evaluates to true or false; anything else is an error.
    pub fn test(&self, scope: &Scope<'_>) -> Result<bool, ExprError> {
        let value = self.value(scope)?;
        value.downcast_ref::<CelBool>().map(|answer| *answer.inner()).ok_or_else(|| {
            let kind = kind_of(value.as_ref());
            ExprError::Evaluation(format!("`{}` gives {kind} where true or false is needed", self.source))
        })
    }

    /// Evaluates to a value of the language, which may borrow what is lent to the scope.
    pub(super) fn made<'v>(&self, scope: &Scope<'v>) -> Result<Data<'v>, ExprError> {
        let value = Cel::resolve_val(&self.direct, &scope.context).map_err(|error| execution(&error))?;
        Ok(value.into_owned())
    }

    fn value<'e>(&'e self, scope: &'e Scope<'_>) -> Result<CowVal<'e, 'e>, ExprError> {
        Cel::resolve_val(&self.direct, &scope.context).map_err(|error| execution(&error))
    }
}

/// Variables and functions that expressions see. Inner scopes add names without copying the outer ones.
pub struct Scope<'p> {
    context: Context<'p, 'p>,
    /// The JSON behind names that were lent in this scope or an outer one.
    lent: Arc<BTreeMap<String, &'p Value>>,
}

/// A name for one item of a list that is already bound; it is seen through [`Scope::showing`], not copied.
pub struct Item<'a> {
    name: &'a str,
    value: &'a (dyn Val + 'a),
    json: Option<&'a Value>,
}

impl<'a> Item<'a> {
    pub(super) fn new(name: &'a str, value: &'a (dyn Val + 'a)) -> Self {
        Self { name, value, json: None }
    }

    /// The JSON that it was made of, where it was lent.
    pub(super) fn json(&self) -> Option<&'a Value> {
        self.json
    }
}

/// The items of a bound list, and the JSON that they were made of, where it was lent.
#[derive(Clone, Copy)]
pub struct Members<'a>(&'a [Box<dyn Val + 'a>], Option<&'a Value>);

impl<'a> Members<'a> {
    /// The item at a position, under a name of its own.
    pub fn item(self, name: &'a str, position: usize) -> Option<Item<'a>> {
        let json = self.1.and_then(|list| list.get(position));
        Some(Item { name, value: self.0.get(position)?.as_ref(), json })
    }
}

impl VariableResolver for Item<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        (variable == self.name).then_some(CowVal::Borrowed(self.value))
    }
}

impl Default for Scope<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'p> Scope<'p> {
    /// No variables; the standard functions and those of this crate.
    pub fn new() -> Self {
        let mut context = Context::default();
        register(&mut context);
        Self { context, lent: Arc::default() }
    }

    /// A scope inside this one.
    pub fn inner(&self) -> Scope<'_> {
        let lent = Arc::<BTreeMap<String, &'p Value>>::clone(&self.lent);
        Scope { context: self.context.new_inner_scope(), lent }
    }

    /// A scope inside this one, with one item of a bound list under a name of its own.
    pub fn showing<'b>(&'b self, item: &'b Item<'b>) -> Scope<'b> {
        let mut context: Context<'b, 'b> = self.context.new_inner_scope();
        context.set_variable_resolver(item);
        let mut lent = Arc::<BTreeMap<String, &'p Value>>::clone(&self.lent);
        if lent.contains_key(item.name) {
            Arc::make_mut(&mut lent).remove(item.name);
        }
        Scope { context, lent }
    }

    /// The JSON behind a path of fields, the first of them a name that was lent.
    pub(super) fn json(&self, path: &[String]) -> Option<&'p Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(*self.lent.get(first)?, |found, key| found.get(key))
    }

    /// A list that is bound in this scope; `facts.files` is the list `files` of the map `facts`.
    pub fn members<'b>(&'b self, list: &'b str) -> Option<Members<'b>> {
        let mut keys = list.split('.');
        let first = keys.next()?;
        let CowVal::Borrowed(mut found) = self.context.get_variable(first)? else { return None };
        let mut json = self.lent.get(first).copied();
        for key in keys {
            found = found.downcast_ref::<CelMap<'_>>()?.inner().get(&CelMapKey::String(key.into()))?.as_ref();
            json = json.and_then(|json| json.get(key));
        }
        Some(Members(found.downcast_ref::<CelList<'_>>()?.inner(), json))
    }

    /// Binds a JSON value to a name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &Value) -> Self {
        self.set(name, value);
        self
    }

    /// Binds a copy of a JSON value to a name.
    pub fn set(&mut self, name: &str, value: &Value) {
        self.context.add_variable_as_val(name, data::owned(value));
        if self.lent.contains_key(name) {
            Arc::make_mut(&mut self.lent).remove(name);
        }
    }

    /// Binds a JSON value that outlives the scope to a name.
    pub fn lend(&mut self, name: &str, value: &'p Value) {
        self.context.add_variable_as_val(name, data::lent(value));
        Arc::make_mut(&mut self.lent).insert(name.to_owned(), value);
    }

    /// Adds a function of one argument that gives a number, or nothing, which counts as a missing key.
    pub fn measure(&mut self, name: &'static str, f: impl Fn(&Value) -> Option<f64> + Send + Sync + 'static) {
        let call = move |ftx: &FunctionContext<'_, '_>, Arguments(args): Arguments| -> Result<Cel, ExecutionError> {
            let [argument] = args.as_slice() else { return Err(ftx.error("needs one argument")) };
            let argument = data::argument(argument).map_err(|error| ftx.error(error.to_string()))?;
            let gone = || ExecutionError::NoSuchKey(Arc::new(format!("{name}({argument})")));
            f(&argument).map(Cel::Float).ok_or_else(gone)
        };
        self.context.add_function(name, call).expect("no function of ours bears the name of a standard one");
    }

    /// Adds a function of one text argument; used for lookups such as `doc(path)`.
    pub fn function(&mut self, name: &str, f: impl Fn(&str) -> Value + Send + Sync + 'static) {
        self.context
            .add_function(name, move |text: Arc<String>| -> Cel { data::answer(&f(&text)) })
            .expect("no function of ours bears the name of a standard one");
    }
}

/// Functions that every expression may call.
fn register(context: &mut Context<'_, '_>) {
    register_text(context)
        .and_then(|()| register_values(context))
        .expect("no function of ours bears the name of a standard one");
}

fn register_text(context: &mut Context<'_, '_>) -> Result<(), DeclarationError> {
    context.add_function("lower", |This(text): This<Arc<String>>| -> String { text.to_lowercase() })?;
    context.add_function("words", |This(text): This<Arc<String>>| -> i64 {
        i64::try_from(text.split_whitespace().count()).unwrap_or(i64::MAX)
    })?;
    context.add_function("glob", |This(name): This<Arc<String>>, pattern: Arc<String>| -> bool {
        crate::text::wildcard_matches(&pattern, &name)
    })?;
    context.add_function(
        "matches",
        |ftx: &FunctionContext<'_, '_>, This(text): This<Arc<String>>, pattern: Arc<String>| {
            let known = regex(&pattern).map_err(|error| ftx.error(format!("`{pattern}` is no regex: {error}")))?;
            Ok::<bool, ExecutionError>(known.is_match(&text))
        },
    )?;
    context.add_function("times", |This(text): This<Arc<String>>, count: i64| -> String {
        let most = MOST_REPEATED / text.len().max(1);
        text.repeat(usize::try_from(count).unwrap_or_default().min(most))
    })?;
    context.add_function("parse_json", |This(text): This<Arc<String>>| -> Cel {
        serde_json::from_str(&text).map_or(Cel::Null, |value| data::answer(&value))
    })?;
    context.add_function("seconds", |text: Arc<String>| -> f64 {
        crate::units::parse_duration(&text).map_or(f64::NAN, |d| d.as_secs_f64())
    })?;
    Ok(())
}

/// Most bytes of a text that an expression makes by repeating one.
const MOST_REPEATED: usize = 1 << 20;

/// Most patterns that are kept compiled.
const MOST_PATTERNS: usize = 500;

/// A pattern of `matches`, compiled once: an expression asks it of many items, and compiling costs far more than a match.
fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    static KNOWN: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = known().get(pattern) {
        return Ok(regex.clone());
    }
    let regex = Regex::new(pattern)?;
    let mut known = known();
    if known.len() >= MOST_PATTERNS {
        known.clear();
    }
    known.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

fn register_values(context: &mut Context<'_, '_>) -> Result<(), DeclarationError> {
    context.add_function("number", |ftx: &FunctionContext<'_, '_>, Arguments(args): Arguments| number(ftx, &args))?;
    context.add_function("sum", |This(items): This<Arc<Vec<Cel>>>| -> f64 { items.iter().filter_map(as_f64).sum() })?;
    context.add_function("joined", |This(items): This<Arc<Vec<Cel>>>, separator: Arc<String>| -> String {
        let texts =
            items.iter().filter_map(|item| if let Cel::String(text) = item { Some(text.as_str()) } else { None });
        texts.collect::<Vec<_>>().join(&separator)
    })?;
    context.add_function("flat", |This(lists): This<Arc<Vec<Cel>>>| -> Cel {
        let items = lists.iter().flat_map(|list| match list {
            Cel::List(items) => items.to_vec(),
            item => vec![item.clone()],
        });
        Cel::List(Arc::new(items.collect()))
    })?;
    context.add_function("first", |This(items): This<Arc<Vec<Cel>>>| items.first().cloned().unwrap_or(Cel::Null))?;
    context.add_function("last", |This(items): This<Arc<Vec<Cel>>>| items.last().cloned().unwrap_or(Cel::Null))?;
    context.add_function("numbered", |This(items): This<Cel>| -> Cel { numbered(&items).unwrap_or(Cel::Null) })?;
    context.add_function("pointer", |This(value): This<Cel>, path: Arc<String>| -> Cel {
        data::argument(&value).ok().and_then(|json| json.pointer(&path).map(data::answer)).unwrap_or(Cel::Null)
    })?;
    context.add_function("placed", |This(value): This<Cel>, path: Arc<String>, new: Cel| -> Cel {
        placed(&value, &path, &new).unwrap_or(Cel::Null)
    })?;
    Ok(())
}

/// Each item with its place in the list, from 0: `{index, item}`.
fn numbered(items: &Cel) -> Option<Cel> {
    let items = data::argument(items).ok()?;
    let pairs =
        items.as_array()?.iter().enumerate().map(|(index, item)| serde_json::json!({"index": index, "item": item}));
    Some(data::answer(&pairs.collect()))
}

/// A value with another one in place of what stands at a pointer; nothing where nothing stands.
fn placed(value: &Cel, path: &str, new: &Cel) -> Option<Cel> {
    let mut json = data::argument(value).ok()?;
    *json.pointer_mut(path)? = data::argument(new).ok()?;
    Some(data::answer(&json))
}

/// Any number as a double, so that whole and fractional amounts mix.
fn number(ftx: &FunctionContext<'_, '_>, args: &[Cel]) -> Result<Cel, ExecutionError> {
    match args.first().and_then(as_f64) {
        Some(value) => Ok(Cel::Float(value)),
        None => Err(ftx.error("needs one number")),
    }
}

fn as_f64(value: &Cel) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "amounts and counts stay far below 2^53")]
    match value {
        Cel::Int(i) => Some(*i as f64),
        Cel::UInt(u) => Some(*u as f64),
        Cel::Float(f) => Some(*f),
        Cel::String(s) => s.parse().ok(),
        _ => None,
    }
}

fn execution(error: &ExecutionError) -> ExprError {
    match error {
        ExecutionError::NoSuchKey(key) => ExprError::Missing(format!("`{key}`")),
        ExecutionError::UndeclaredReference(name) => ExprError::Missing(format!("`{name}`")),
        other => ExprError::Evaluation(crate::text::shortened(&other.to_string(), 300)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Expr, ExprError, Scope};

    fn eval(source: &str) -> Result<Value, ExprError> {
        let scope = Scope::new()
            .with("args", &json!({"amount_usd": 20.5, "count": 2, "id": "ch_1", "nothing": null}))
            .with("tools", &json!([{"name": "a", "effect": "read"}, {"name": "b", "effect": "write"}]));
        Expr::parse(source)?.eval(&scope)
    }

    #[test]
    fn expressions_give_json() {
        for (source, expected) in [
            ("args.amount_usd <= 50", json!(true)),
            ("args.count <= 2.5", json!(true)),
            ("args.count == 2.0", json!(true)),
            ("number(args.count) + args.amount_usd", json!(22.5)),
            ("has(args.missing)", json!(false)),
            ("tools.filter(t, t.effect != 'read').map(t, t.name)", json!(["b"])),
            ("'b' in tools.map(t, t.name)", json!(true)),
            ("{'x': args.id}", json!({"x": "ch_1"})),
            ("'delete_me'.glob('delete_*')", json!(true)),
            ("'ab'.times(3) + 'ab'.times(0) + 'ab'.times(-1)", json!("ababab")),
            ("size('ab'.times(9000000000000)) <= 1048576 && size(''.times(9)) == 0", json!(true)),
            ("'{\"a\":1}'.parse_json().a", json!(1)),
            ("args.pointer('/id')", json!("ch_1")),
            ("{'a': {'b': 1}}.placed('/a/b', 1.5)", json!({"a": {"b": 1.5}})),
            ("{'a': 1}.placed('/b', 2)", json!(null)),
            ("seconds('15m') <= seconds('1h')", json!(true)),
            ("'Hello There'.lower()", json!("hello there")),
            ("args.id.matches('^ch_')", json!(true)),
            ("[1, 2].map(n, 'a' + string(n)).filter(t, t.matches('[2-9]$'))", json!(["a2"])),
            ("[1, 2.5].sum()", json!(3.5)),
        ] {
            assert_eq!(eval(source), Ok(expected), "{source}");
        }
    }

    #[test]
    fn a_name_is_mentioned_as_a_whole_word() {
        for (source, expected) in [
            ("it.name == 'a'", true),
            ("items.all(i, i.it > limit)", true),
            ("items.all(i, i > limit)", false),
            ("suites.it_works", false),
            ("size(it)", true),
        ] {
            assert_eq!(Expr::parse(source).map(|expr| expr.mentions("it")), Ok(expected), "{source}");
        }
    }

    #[test]
    fn failures_say_what_is_wrong() {
        assert!(matches!(eval("args.unknown"), Err(ExprError::Missing(_))));
        assert!(matches!(eval("nobody.knows"), Err(ExprError::Missing(_))));
        assert!(matches!(eval("args.id +"), Err(ExprError::Syntax(_))));
        assert!(matches!(eval("args.id + 1"), Err(ExprError::Evaluation(_))));
        assert!(matches!(eval("args.id.matches('(')"), Err(ExprError::Evaluation(_))));
        assert!(matches!(eval("args.count.matches('2')"), Err(ExprError::Evaluation(_))));
    }
}

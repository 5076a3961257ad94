//! Text with `{{ … }}`, strict about unknown names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, OnceLock},
};

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

/// Why a template could not be parsed or filled in.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct TemplateError(String);

/// A text with places to fill in, parsed once.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    parsed: Arc<OnceLock<Result<Parsed, TemplateError>>>,
}

struct Parsed {
    environment: Environment<'static>,
    /// Names that the places look at, each with its fields, or nothing where all of it is looked at.
    asked: OnceLock<BTreeMap<String, Option<BTreeSet<String>>>>,
}

impl Parsed {
    fn new(source: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(|out, state, value| match whole(value) {
            Some(number) => Ok(write!(out, "{number}")?),
            None => minijinja::escape_formatter(out, state, value),
        });
        environment.add_template_owned("t", source.to_owned()).map_err(|error| failed(&error))?;
        Ok(Self { environment, asked: OnceLock::new() })
    }

    fn asked(&self) -> BTreeMap<String, Option<BTreeSet<String>>> {
        let mut asked = BTreeMap::<String, Option<BTreeSet<String>>>::new();
        let places = self.template().map(|template| template.undeclared_variables(true)).unwrap_or_default();
        for place in places {
            // Of `it.system.name` the whole of `system` is a field.
            let mut keys = place.split('.');
            let fields =
                asked.entry(keys.next().unwrap_or_default().to_owned()).or_insert_with(|| Some(BTreeSet::new()));
            match (keys.next(), fields.as_mut()) {
                (Some(field), Some(fields)) => drop(fields.insert(field.to_owned())),
                (None, _) => *fields = None,
                (Some(_), None) => {}
            }
        }
        asked
    }

    fn template(&self) -> Result<minijinja::Template<'_, '_>, TemplateError> {
        self.environment.get_template("t").map_err(|error| failed(&error))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.source)
    }
}

impl Template {
    /// Parses a template.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let template = Self::later(source);
        template.parsed()?;
        Ok(template)
    }

    /// Takes a template that is parsed when it is first filled in, for texts that a test has parsed.
    pub fn later(source: &str) -> Self {
        Self { source: source.into(), parsed: Arc::default() }
    }

    fn parsed(&self) -> Result<&Parsed, TemplateError> {
        self.parsed.get_or_init(|| Parsed::new(&self.source)).as_ref().map_err(Clone::clone)
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The fields of a value named `name` that the places look at; nothing when they look at all of it.
    pub fn fields(&self, name: &str) -> Option<&BTreeSet<String>> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let parsed = self.parsed().ok()?;
        parsed.asked.get_or_init(|| parsed.asked()).get(name).map_or(Some(&NONE), Option::as_ref)
    }

    /// Fills in the places from `values`, and from `names` what they leave open.
    pub fn render_over(&self, values: &Names, names: &Names) -> Result<String, TemplateError> {
        let template = self.parsed()?.template()?;
        // The last map that has a name wins.
        template
            .render(minijinja::value::merge_maps([names.0.clone(), values.0.clone()]))
            .map_err(|error| failed(&error))
    }

    /// Fills in the places from a map of values.
    pub fn render(&self, values: &Value) -> Result<String, TemplateError> {
        let template = self.parsed()?.template()?;
        template.render(minijinja::value::Serde(values)).map_err(|error| failed(&error))
    }
}

/// Values that many templates share, converted once; copies share them too.
#[derive(Clone, Debug)]
pub struct Names(minijinja::Value);

impl Names {
    /// Takes a value, for a template a map.
    pub fn new(values: &Value) -> Self {
        Self(minijinja::Value::from(minijinja::value::Serde(values)))
    }

    /// Takes values that were converted before, each with its name.
    pub fn of<'n>(values: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let values: BTreeMap<String, minijinja::Value> =
            values.into_iter().map(|(name, value)| (name.to_owned(), value.0)).collect();
        Self(values.into())
    }
}

/// A number without a fraction, as people write it: 800 and not 800.0.
fn whole(value: &minijinja::Value) -> Option<i64> {
    let number = f64::try_from(value.clone()).ok().filter(|_| value.is_number() && !value.is_integer())?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number that a float holds exactly fits")]
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn failed(error: &minijinja::Error) -> TemplateError {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    TemplateError(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Names, Template};

    #[test]
    fn what_a_template_is_given_outweighs_what_many_share() {
        let shared = Names::new(&json!({"agent": {"name": "bot"}, "rung": "proven"}));
        let own = Names::of([("it", Names::new(&json!({"name": "pay"}))), ("rung", Names::new(&json!("absent")))]);
        let template = Template::parse("{{ agent.name }} {{ it.name }} {{ rung }}").expect("parses");
        assert_eq!(template.render_over(&own, &shared).as_deref(), Ok("bot pay absent"));
    }

    #[test]
    fn a_whole_number_has_no_fraction() {
        let template = Template::parse("{{ a }} {{ b }} {{ c / 2 }} {{ c | round(1) }} {{ d }}").expect("parses");
        let values = json!({"a": 800.0, "b": 0.5, "c": 4.0, "d": 7});
        assert_eq!(template.render(&values).as_deref(), Ok("800 0.5 2 4 7"));
    }

    #[test]
    fn the_fields_that_a_template_looks_at_are_known() {
        for (source, fields) in [
            ("{{ it.name }} of {{ it.system.name }}{{ items.other }}", Some(vec!["name", "system"])),
            ("{% if it.n is defined and it.n > 1 %}{{ it.m | join(', ') }}{% endif %}", Some(vec!["m", "n"])),
            ("{% for one in it.list %}{{ one.deep }}{% endfor %}", Some(vec!["list"])),
            ("it is said: {{ rung }}", Some(vec![])),
            ("{{ it }} {{ it.name }}", None),
            ("{{ it['name'] }}", None),
            ("{{ it | length }}", None),
            ("{% set also = it %}{{ also.name }}", None),
        ] {
            let template = Template::parse(source).expect("parses");
            let seen = template.fields("it").map(|fields| fields.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(seen, fields, "{source}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(Template::parse("{{ nobody }}").expect("parses").render(&json!({})).is_err());
        assert!(Template::parse("{{ open").is_err());
    }
}

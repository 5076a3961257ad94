//! Text with `{{ … }}`, strict about unknown names.

use std::{
    collections::BTreeMap,
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
    asked: OnceLock<Asked>,
}

type Asked = BTreeMap<String, Option<Fields>>;

/// Fields of a value, each with whether all that is done with it is to print it, or to ask whether it is empty.
pub type Fields = BTreeMap<String, bool>;

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
    pub fn fields(&self, name: &str) -> Option<&Fields> {
        static NONE: Fields = BTreeMap::new();
        let parsed = self.parsed().ok()?;
        parsed.asked.get_or_init(|| asked(&self.source)).get(name).map_or(Some(&NONE), Option::as_ref)
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

/// What the places of a template look at: each name in them with the fields that follow it. Words of the language are among
/// them, and a name that is bound anew counts too; there may be more than is looked at, and never less.
fn asked(source: &str) -> Asked {
    let mut asked = Asked::new();
    let mut is_printed_only = true;
    let mut rest = source;
    while let Some((_, place)) = rest.split_once('{') {
        let Some(end) = ["%}", "}}"].into_iter().find(|end| place.starts_with(if *end == "%}" { '%' } else { '{' }))
        else {
            rest = place;
            continue;
        };
        let (place, after) = place.split_once(end).unwrap_or((place, ""));
        let inner = place.get(1..).unwrap_or_default();
        // A sign there takes away the space outside.
        let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
        let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner).trim();
        let field = if end == "}}" { inner } else { held_empty(inner) };
        let is_field = field.split_once('.').is_some_and(|(name, field)| is_name(name) && is_name(field));
        gather(inner, is_field, &mut asked);
        // What another statement encloses may be worked on as a text.
        is_printed_only &=
            end == "}}" || inner.split(|c| !is_part(c)).next().is_some_and(|word| BRANCHES.contains(&word));
        rest = after;
    }
    for printed in asked.values_mut().flatten().flat_map(BTreeMap::values_mut) {
        *printed &= is_printed_only;
    }
    asked
}

/// Statements that print what they enclose as it is.
const BRANCHES: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// What a condition asks of nothing but whether it is empty.
fn held_empty(statement: &str) -> &str {
    let Some(asked) = ["if ", "elif "].iter().find_map(|word| statement.strip_prefix(word)) else { return "" };
    let asked = asked.strip_prefix("not ").unwrap_or(asked);
    ["== ''", "!= ''"].iter().find_map(|end| asked.strip_suffix(end)).unwrap_or(asked).trim()
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_part)
}

/// The names in one place, which prints a field or does more; what stands in quotes is none.
fn gather(place: &str, is_field: bool, asked: &mut Asked) {
    let mut rest = place;
    let mut follows_point = false;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if length == 0 {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            if matches!(first, '"' | '\'') {
                rest = rest.split_once(first).map_or("", |(_, after)| after);
            }
            follows_point = first == '.';
            continue;
        }
        let (name, after) = rest.split_at(length);
        let field = after.strip_prefix('.').map(|after| after.split(|c| !is_part(c)).next().unwrap_or_default());
        if !follows_point {
            let fields = asked.entry(name.to_owned()).or_insert_with(|| Some(Fields::new()));
            match (field.filter(|field| !field.is_empty()), fields.as_mut()) {
                (Some(field), Some(fields)) => *fields.entry(field.to_owned()).or_insert(true) &= is_field,
                (None, _) => *fields = None,
                (Some(_), None) => {}
            }
        }
        follows_point = false;
        rest = after;
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
            ("{{ other.it }} {{ 'it' }} {{ \"it's\" }}{# it #}{ it }", Some(vec![])),
            ("{%- if it.a.b -%} it {%- endif %}{{ it.c|length }}{{ [it.d, 'x'].e }}", Some(vec!["a", "c", "d"])),
            ("{% for it in list %}{{ it.a }}{% endfor %}", None),
        ] {
            let template = Template::parse(source).expect("parses");
            let seen = template.fields("it").map(|fields| fields.keys().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(seen, fields, "{source}");
            // The library tells what is looked at; there is nothing that it tells and we don't.
            let parsed = template.parsed().expect("parses");
            let known = parsed.template().expect("parses").undeclared_variables(true);
            for place in known.iter().filter(|place| *place == "it" || place.starts_with("it.")) {
                let field = place.split('.').nth(1);
                let is_told = seen.as_ref().is_none_or(|seen| field.is_some_and(|field| seen.contains(&field)));
                assert!(is_told, "{place} of {source}");
            }
        }
    }

    #[test]
    fn fields_that_are_printed_as_they_are_stand_apart() {
        for (source, printed) in [
            ("{{ it.a }} of {{- it.b -}}{{ it.a }}", vec!["a", "b"]),
            ("{{ it.a }}{% if it.a %}{{ it.b }}{% else %}{{ it.c }}{% endif %}", vec!["a", "b", "c"]),
            ("{% if it.a == '' %}{% elif not it.b %}{% elif it.c != '' -%}{% endif %}", vec!["a", "b", "c"]),
            ("{% if it.a == 'x' %}{% elif it.b and it.c %}{% elif it.d | length %}{% endif %}", vec![]),
            ("{{ it.a | upper }}{{ it.b ~ it.c }}{{ it.d.e }}{{ it.f[0] }}", vec![]),
            ("{% for x in it.a %}{{ x }}{{ it.b }}{% endfor %}", vec!["b"]),
            ("{% set x %}{{ it.a }}{% endset %}{{ x | length }}", vec![]),
            ("{% filter upper %}{{ it.a }}{% endfilter %}{{ it.b }}", vec![]),
            ("{{ [it.a] }}{{ -it.b }}", vec![]),
        ] {
            let asked = super::asked(source);
            let fields = asked.get("it").and_then(Option::as_ref).expect("fields are looked at");
            let seen: Vec<&str> =
                fields.iter().filter(|(_, printed)| **printed).map(|(field, _)| field.as_str()).collect();
            assert_eq!(seen, printed, "{source}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(Template::parse("{{ nobody }}").expect("parses").render(&json!({})).is_err());
        assert!(Template::parse("{{ open").is_err());
    }
}

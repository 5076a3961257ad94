//! From the manifest and the lawful ways to the list of drills.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    file::{Case, DRILLS, Rule},
    route::{Route, Routes, Step},
};
use crate::{
    expr::{Expr, ExprError, Scope},
    record::{Probe, Wants},
    scenario::{Move, Scenario},
    world::{Outcome, Play, World},
};

/// What drills are made from.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The evidence document, as far as it is known before drills.
    pub evidence: &'a Value,
    /// The lawful ways.
    pub routes: &'a Routes,
    /// The planned scenarios.
    pub scenarios: &'a [Scenario],
    /// The world of each of them.
    pub worlds: &'a [Arc<World>],
}

/// A drill ready to be tried, or the reason why it can't be.
#[derive(Clone, Debug, PartialEq)]
pub struct Drill {
    /// What it shows.
    pub probe: Probe,
    /// Position of the scenario whose words and world it takes.
    pub scenario: usize,
    /// What the model emits.
    pub moves: Vec<Move>,
}

/// The drill of lawful calls in the form in which others ask for what is not.
const CONTROL: &str = "control";
/// What the model says when it is through.
const LAST_WORDS: &str = "That is all.";

/// Makes every drill that the manifest gives reason for.
pub fn drills(ground: &Ground<'_>) -> Vec<Drill> {
    let mut scope = Scope::new();
    for (key, value) in ground.evidence.as_object().into_iter().flatten() {
        scope.lend(key, value);
    }
    let steps = ground.routes.all().iter().flat_map(|route| &route.calls);
    let reached: std::collections::BTreeSet<&str> = steps.map(|step| step.tool.as_str()).collect();
    scope.set("reached", &json!(reached));
    let maker = Maker { ground, scope };
    let mut made: Vec<Drill> = Vec::new();
    for (name, file) in DRILLS.iter() {
        let of_file = file.cases.iter().flat_map(|(case, rules)| maker.case((name, case), rules));
        let before = made.len();
        made.extend(of_file);
        if made.len() == before {
            let probe = Probe { drill: name.clone(), hindered: Some(file.otherwise.clone()), ..Probe::default() };
            made.push(Drill { probe, scenario: 0, moves: Vec::new() });
        }
    }
    let needed: std::collections::BTreeSet<String> =
        made.iter().filter(|drill| drill.probe.control.is_some()).map(|drill| drill.probe.tool.clone()).collect();
    let controls = needed.iter().filter_map(|tool| maker.control(tool)).collect::<Vec<_>>();
    controls.into_iter().chain(made).collect()
}

struct Maker<'g> {
    ground: &'g Ground<'g>,
    scope: Scope<'g>,
}

/// A way to the call of a tool, with the arguments of a lawful one.
struct Way<'g> {
    route: &'g Route,
    before: Vec<&'g Step>,
    was: Value,
}

impl<'g> Maker<'g> {
    fn case(&self, (drill, name): (&str, &str), case: &Case) -> Vec<Drill> {
        let probe = Probe { drill: drill.to_owned(), case: name.to_owned(), wants: case.wants, ..Probe::default() };
        let hindered = |why: String| Drill {
            probe: Probe { hindered: Some(why), ..probe.clone() },
            scenario: 0,
            moves: Vec::new(),
        };
        let items = match case.each.0.eval(&self.scope) {
            Ok(Value::Array(items)) => items,
            // What the manifest does not have needs no drill.
            Err(ExprError::Missing(_)) => return Vec::new(),
            Ok(_) => return vec![hindered("`each` gives no list".to_owned())],
            Err(error) => return vec![hindered(error.to_string())],
        };
        items
            .iter()
            .map(|it| {
                let scope = self.scope.inner().with("it", it);
                self.drill(&probe, case, it, &scope).unwrap_or_else(|why| {
                    let tool = case.tool.0.eval(&scope).ok().and_then(|tool| Some(tool.as_str()?.to_owned()));
                    let mut drill = hindered(why);
                    drill.probe.tool = tool.unwrap_or_default();
                    drill
                })
            })
            .collect()
    }

    fn drill(&self, probe: &Probe, case: &Case, it: &Value, scope: &Scope<'_>) -> Result<Drill, String> {
        let told = |error: ExprError| error.to_string();
        let tool = case.tool.0.eval(scope).map_err(told)?;
        let tool = tool.as_str().ok_or("`tool` gives no text")?.to_owned();
        let number = |rule: &Option<Rule>| -> Result<Option<u64>, String> {
            rule.as_ref().map(|rule| whole(&rule.0, scope)).transpose()
        };
        let (most, tokens) = (number(&case.most)?, number(&case.tokens)?);
        let (spent, fill) = (number(&case.spent)?, number(&case.fill)?);
        let ways = self.ways(&tool);
        let mut chosen: Option<(&Way<'_>, Value, bool)> = None;
        for way in &ways {
            let args = self.arguments(case, (&tool, way), scope)?;
            let sharp = self.takes_effect(way, &tool, &args);
            if sharp || chosen.is_none() {
                chosen = Some((way, args, sharp));
            }
            if sharp || !self.is_offered(way, &tool) {
                break;
            }
        }
        let Some((way, args, sharp)) = chosen else {
            return Err("no golden trial passed whose calls could be made again before it".to_owned());
        };
        let is_known = self.lawful(&tool).is_some();
        let has_control = is_known && matches!(case.wants, Wants::Stopped | Wants::Approved | Wants::Once);
        let mut moves: Vec<Move> = way.before.iter().map(|step| Move::calling(&step.tool, &step.args)).collect();
        if fill.is_some() || spent.is_some() {
            let first = way.before.first().ok_or("no lawful call stands before it that could use the budget up")?;
            let times = u32::try_from(fill.unwrap_or(1)).unwrap_or(u32::MAX).max(1);
            moves.push(Move { times: Some(times), tokens: spent, ..Move::calling(&first.tool, &first.args) });
        }
        let fresh = case.fresh.as_ref().map(|rule| rule.0.eval(scope)).transpose().map_err(told)?;
        let from =
            fresh.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(|place| numbered(&args, place));
        let from = from.collect();
        moves.push(Move { times: case.times, at_once: case.at_once, tokens, from, ..Move::calling(&tool, &args) });
        moves.push(Move::saying(LAST_WORDS));
        let probe = Probe {
            at: it.get("at").and_then(Value::as_str).unwrap_or_default().to_owned(),
            telling: telling(&way.was, &args),
            before: way.before.iter().map(|step| step.tool.clone()).collect(),
            most,
            sharp,
            spends: fill.is_some() || spent.is_some(),
            control: has_control.then(|| control_id(&tool)),
            tool,
            args,
            ..probe.clone()
        };
        Ok(Drill { probe, scenario: way.route.scenario, moves })
    }

    /// The lawful call of a tool alone, approvals included that it came with.
    fn control(&self, tool: &str) -> Option<Drill> {
        let (route, at) = self.lawful(tool)?;
        let before: Vec<&Step> = route.calls.get(..at)?.iter().collect();
        let step = route.calls.get(at)?;
        let mut moves: Vec<Move> = before.iter().map(|step| Move::calling(&step.tool, &step.args)).collect();
        moves.push(Move::calling(tool, &step.args));
        moves.push(Move::saying(LAST_WORDS));
        let probe = Probe {
            drill: CONTROL.to_owned(),
            case: "lawful".to_owned(),
            tool: tool.to_owned(),
            args: step.args.clone(),
            before: before.iter().map(|step| step.tool.clone()).collect(),
            wants: Wants::Through,
            sharp: true,
            ..Probe::default()
        };
        Some(Drill { probe, scenario: route.scenario, moves })
    }

    /// The shortest way on which a tool was called.
    fn lawful(&self, tool: &str) -> Option<(&'g Route, usize)> {
        let place = |route: &'g Route| Some((route, route.calls.iter().position(|step| step.tool == tool)?));
        self.ground.routes.all().iter().filter_map(place).min_by_key(|(_, at)| *at)
    }

    /// Ways to a call of the tool: those on which it was called, then those on which it could have been.
    fn ways(&self, tool: &str) -> Vec<Way<'g>> {
        let routes = self.ground.routes.all();
        let own = routes.iter().filter_map(|route| {
            let at = route.calls.iter().position(|step| step.tool == tool)?;
            let before = route.calls.get(..at)?.iter().filter(|step| !self.approves(route, step)).collect();
            Some(Way { route, before, was: route.calls.get(at)?.args.clone() })
        });
        let mut ways: Vec<Way<'g>> = own.collect();
        ways.sort_by_key(|way| way.before.len());
        let listed = self.listed(tool);
        let example = listed.and_then(|listed| listed.get("example")).cloned();
        let pattern = ways.first().map(|way| way.was.clone()).or(example).unwrap_or_else(|| json!({}));
        let others = routes.iter().filter(|route| route.calls.iter().all(|step| step.tool != tool));
        let others = others.map(|route| {
            let before = route.calls.iter().filter(|step| self.reads(step)).collect();
            Way { route, before, was: self.bound(route, tool, &pattern) }
        });
        ways.extend(others.filter(|way| !way.before.is_empty()));
        ways
    }

    fn listed(&self, tool: &str) -> Option<&'g Value> {
        let tools = self.ground.evidence.get("tools").and_then(Value::as_array).into_iter().flatten();
        tools.into_iter().find(|listed| listed.get("name").and_then(Value::as_str) == Some(tool))
    }

    fn reads(&self, step: &Step) -> bool {
        self.listed(&step.tool).is_some_and(|listed| listed.get("is_write") == Some(&Value::Bool(false)))
    }

    fn approves(&self, route: &Route, step: &Step) -> bool {
        let world = self.ground.worlds.get(route.scenario);
        world.is_some_and(|world| world.approving().any(|tool| tool == step.tool))
    }

    /// Arguments like those of another trial, with what this one knows under the same names, and what the tool asks for
    /// beside.
    fn bound(&self, route: &Route, tool: &str, pattern: &Value) -> Value {
        let mut args = pattern.as_object().cloned().unwrap_or_default();
        for (name, value) in &mut args {
            if let Some(known) = route.known.get(name).filter(|known| known.is_string() && value.is_string()) {
                *value = known.clone();
            }
        }
        let input = self
            .ground
            .worlds
            .get(route.scenario)
            .and_then(|world| world.offers().into_iter().find(|offer| offer.name == tool).map(|offer| offer.input));
        for name in required(input.as_ref()) {
            if !args.contains_key(&name) {
                let known = route.known.get(&name).or_else(|| route.known.get(name.trim_end_matches("_id")));
                let made = || made_up(input.as_ref().and_then(|input| input.pointer(&format!("/properties/{name}"))));
                args.insert(name.clone(), known.cloned().unwrap_or_else(made));
            }
        }
        Value::Object(args)
    }

    fn arguments(&self, case: &Case, (tool, way): (&str, &Way<'_>), scope: &Scope<'_>) -> Result<Value, String> {
        let input = self
            .ground
            .worlds
            .get(way.route.scenario)
            .and_then(|world| world.offers().into_iter().find(|offer| offer.name == tool).map(|offer| offer.input));
        let keys: Vec<&String> = way.was.as_object().into_iter().flat_map(Map::keys).collect();
        let given = required(input.as_ref()).into_iter().filter(|name| way.was.get(name).is_some());
        let given: Vec<String> = given.collect();
        let scope = scope
            .inner()
            .with("was", &way.was)
            .with("keys", &json!(keys))
            .with("texts", &json!(texts(&given, &way.was, input.as_ref())))
            .with("required", &json!(given));
        let told = |error: ExprError| format!("its arguments can't be made: {error}");
        let mut args = match &case.args {
            Some(rule) => rule.0.eval(&scope).map_err(told)?,
            None => way.was.clone(),
        };
        let dropped = case.without.as_ref().map(|rule| rule.0.eval(&scope)).transpose().map_err(told)?;
        let entries = args.as_object_mut().ok_or("its arguments can't be made: there is no such argument")?;
        entries.extend(case.with.clone());
        for name in dropped.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            entries.remove(name);
        }
        if args == way.was && (case.args.is_some() || case.without.is_some()) {
            return Err("its arguments can't be told from lawful ones".to_owned());
        }
        Ok(args)
    }

    /// Whether the world of the way knows the tool.
    fn is_offered(&self, way: &Way<'_>, tool: &str) -> bool {
        let world = self.ground.worlds.get(way.route.scenario);
        world.is_some_and(|world| world.offers().iter().any(|offer| offer.name == tool))
    }

    /// Whether the simulated tool carries the call out after those before it.
    fn takes_effect(&self, way: &Way<'_>, tool: &str, args: &Value) -> bool {
        let (Some(world), Some(scenario)) =
            (self.ground.worlds.get(way.route.scenario), self.ground.scenarios.get(way.route.scenario))
        else {
            return false;
        };
        let Ok(mut play) = Play::new(Arc::clone(world), &scenario.given) else { return false };
        for step in &way.before {
            play.call(&step.tool, step.args.clone(), 0);
        }
        matches!(play.call(tool, args.clone(), 0), Outcome::Executed(_))
    }
}

fn control_id(tool: &str) -> String {
    Probe { drill: CONTROL.to_owned(), case: "lawful".to_owned(), tool: tool.to_owned(), ..Probe::default() }.id()
}

fn whole(expr: &Expr, scope: &Scope<'_>) -> Result<u64, String> {
    let value = expr.eval(scope).map_err(|error| error.to_string())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a budget, held to whole positive numbers"
    )]
    let from_float = |number: f64| (0.0..1e15).contains(&number).then_some(number.ceil() as u64);
    let number = value.as_u64().or_else(|| value.as_f64().and_then(from_float));
    number.ok_or_else(|| format!("`{}` gives no number", expr.source()))
}

fn required(input: Option<&Value>) -> Vec<String> {
    let names = input.and_then(|input| input.get("required")).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Those that are texts in a lawful call, of which first those that the schema leaves free but for their length.
pub(super) fn texts<'n>(names: &'n [String], was: &Value, input: Option<&Value>) -> Vec<&'n str> {
    let is_bound = |name: &str| {
        let property = input.and_then(|input| input.get("properties")?.get(name));
        property.is_some_and(|property| {
            ["enum", "const", "pattern", "format"].iter().any(|key| property.get(key).is_some())
        })
    };
    let texts = names.iter().map(String::as_str).filter(|name| was.get(name).is_some_and(Value::is_string));
    let (bound, free): (Vec<&str>, Vec<&str>) = texts.partition(|name| is_bound(name));
    [free, bound].concat()
}

/// The name of a text among the arguments and the expression that makes another one of it for each call; a UUID stays one.
pub(super) fn numbered(args: &Value, place: &Value) -> Option<(String, String)> {
    let name = place.as_str()?.strip_prefix('/')?;
    let text = args.get(name)?.as_str()?;
    let is_uuid = text.len() == 36 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    let head = if is_uuid { text.get(..32)? } else { text };
    let more = if is_uuid { "string(1000 + int(n))" } else { "'-' + string(n)" };
    Some((name.to_owned(), format!("{} + {more}", Value::from(head))))
}

/// A value of the type that a schema asks for.
fn made_up(schema: Option<&Value>) -> Value {
    let choice = schema.and_then(|schema| schema.get("enum")).and_then(|choices| choices.get(0));
    if let Some(choice) = choice {
        return choice.clone();
    }
    match schema.and_then(|schema| schema.get("type")).and_then(Value::as_str) {
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("drill-1"),
    }
}

/// JSON Pointers to the arguments that differ.
fn telling(was: &Value, args: &Value) -> Vec<String> {
    let entries = |value: &Value| -> BTreeMap<String, Value> {
        value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let (was, args) = (entries(was), entries(args));
    let names: std::collections::BTreeSet<&String> = was.keys().chain(args.keys()).collect();
    let differing = names.into_iter().filter(|name| was.get(*name) != args.get(*name));
    differing.map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}

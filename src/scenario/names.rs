//! Which names an expression or a template uses that nobody will define.

use std::collections::{BTreeMap, BTreeSet};

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr as Node},
};

use crate::expr::{Expr, ExprError, Scope};

/// Names that CEL itself defines.
const TYPES: &[&str] = &["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"];

/// Functions worth suggesting for a misspelt one.
pub(super) const COMMON_FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lower",
    "words",
    "glob",
    "parse_json",
    "sum",
    "joined",
    "flat",
    "first",
    "last",
    "numbered",
    "pointer",
    "placed",
    "number",
    "seconds",
    "has",
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
    "string",
    "int",
    "double",
];

/// Names that an expression uses and nobody defines, each list sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) variables: Vec<String>,
    pub(super) functions: Vec<String>,
}

/// Answers which names are unknown; remembers the functions it asked about.
#[derive(Default)]
pub(super) struct Names {
    scope: Scope<'static>,
    functions: BTreeMap<String, bool>,
}

impl Names {
    /// The unknown names of an expression that may use the variables `known`.
    pub(super) fn unknown_in(&mut self, expr: &Expr, known: &[&str]) -> Unknown {
        let mut bound = BTreeSet::new();
        let tree = expr.tree();
        loop_variables(&tree, &mut bound);
        let references = tree.references();
        let mut variables: Vec<String> = references
            .variables()
            .into_iter()
            .filter(|name| !known.contains(name) && !TYPES.contains(name) && !bound.contains(*name))
            .map(str::to_owned)
            .collect();
        variables.sort();
        let mut functions: Vec<String> = references
            .functions()
            .into_iter()
            .filter(|name| is_plain(name) && !self.has_function(name))
            .map(str::to_owned)
            .collect();
        functions.sort();
        Unknown { variables, functions }
    }

    /// A known function called in a wrong way complains about its arguments; an unknown one about its name.
    fn has_function(&mut self, name: &str) -> bool {
        if let Some(known) = self.functions.get(name) {
            return *known;
        }
        let is_known = [format!("{name}()"), format!("''.{name}()"), format!("[].{name}()")].iter().any(|probe| {
            let answer = Expr::parse(probe).and_then(|expr| expr.eval(&self.scope));
            !matches!(answer, Err(ExprError::Missing(missing)) if missing.trim_matches('`') == name)
        });
        self.functions.insert(name.to_owned(), is_known);
        is_known
    }
}

/// Operators are functions too, with names such as `_+_` and `!_`.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with('_')
}

/// Variables of a template that are not among `known`, sorted.
pub(super) fn unknown_in_template(source: &str, known: &[&str]) -> Vec<String> {
    let environment = minijinja::Environment::new();
    let Ok(template) = environment.template_from_str(source) else { return Vec::new() };
    let used: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
    used.into_iter().filter(|name| !known.contains(&name.as_str())).collect()
}

fn loop_variables(expression: &IdedExpr, bound: &mut BTreeSet<String>) {
    match &expression.expr {
        Node::Call(call) => {
            call.target.iter().for_each(|target| loop_variables(target, bound));
            call.args.iter().for_each(|arg| loop_variables(arg, bound));
        }
        Node::Comprehension(inner) => {
            bound.insert(inner.iter_var.clone());
            bound.extend(inner.iter_var2.clone());
            bound.insert(inner.accu_var.clone());
            for part in [&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result] {
                loop_variables(part, bound);
            }
        }
        Node::List(list) => list.elements.iter().for_each(|element| loop_variables(element, bound)),
        Node::Map(map) => map.entries.iter().for_each(|entry| entry_variables(&entry.expr, bound)),
        Node::Struct(fields) => fields.entries.iter().for_each(|entry| entry_variables(&entry.expr, bound)),
        Node::Select(select) => loop_variables(&select.operand, bound),
        Node::Unspecified | Node::Ident(_) | Node::Literal(_) => {}
    }
}

fn entry_variables(entry: &EntryExpr, bound: &mut BTreeSet<String>) {
    match entry {
        EntryExpr::StructField(field) => loop_variables(&field.value, bound),
        EntryExpr::MapEntry(entry) => {
            loop_variables(&entry.key, bound);
            loop_variables(&entry.value, bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMON_FUNCTIONS, Expr, Names, unknown_in_template};

    #[test]
    fn only_names_that_nobody_defines_are_unknown() {
        for (source, variables, functions) in [
            ("args.id in state.orders", vec![], vec![]),
            ("arg.id in state.orders", vec!["arg"], vec![]),
            ("state.orders.exists(o, o.id == args.id)", vec![], vec![]),
            ("{'a': [args.map(k, k + other)]}", vec!["other"], vec![]),
            ("type(args.id) == string && has(args.note)", vec![], vec![]),
            ("args.id.startsWith('a') && size(args) > 1 && number(args.n) + 1.0 < 2.0 && !(1 in [1])", vec![], vec![]),
            ("args.id.startWith('a') || state.all(k, k.lower() == nosuch(k))", vec![], vec!["nosuch", "startWith"]),
            ("string(1) == 'x' ? args['a'] : -1", vec![], vec![]),
        ] {
            let parsed = Expr::parse(source).expect("an expression");
            let unknown = Names::default().unknown_in(&parsed, &["args", "state"]);
            assert_eq!(unknown.variables, variables, "{source}");
            assert_eq!(unknown.functions, functions, "{source}");
        }
    }

    #[test]
    fn suggested_functions_exist() {
        let macros = ["has", "all", "exists", "exists_one", "filter", "map"];
        let mut names = Names::default();
        let missing: Vec<_> =
            COMMON_FUNCTIONS.iter().filter(|name| !macros.contains(name) && !names.has_function(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn templates_are_asked_too() {
        assert_eq!(unknown_in_template("{{ args.id }} {{ arg.id }}", &["args"]), ["arg"]);
    }
}

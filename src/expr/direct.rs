//! The same expression in fewer steps for the interpreter. The language lets `a.b.c` be a name with points in it, so each
//! field of it is first looked for as a name in every scope; no name of ours has points, so `a["b"]["c"]` is the same.
//! `!a` prepares an error in case `a` is no truth value; `a ? false : true` does not. Must not change what an expression
//! gives, nor the kind of error that it ends in.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators},
};

/// The expression with fields looked up where they stand.
pub(super) fn direct(mut tree: IdedExpr) -> IdedExpr {
    rewrite(&mut tree);
    tree
}

fn rewrite(tree: &mut IdedExpr) {
    let id = tree.id;
    match &mut tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| rewrite(target));
            call.args.iter_mut().for_each(rewrite);
            if call.func_name == operators::LOGICAL_NOT && call.target.is_none() && call.args.len() == 1 {
                let word = |truth: bool| IdedExpr { id, expr: Expr::Literal(LiteralValue::Boolean(truth.into())) };
                operators::CONDITIONAL.clone_into(&mut call.func_name);
                call.args.extend([word(false), word(true)]);
            }
        }
        Expr::Comprehension(looped) => {
            for part in [
                &mut looped.iter_range,
                &mut looped.accu_init,
                &mut looped.loop_cond,
                &mut looped.loop_step,
                &mut looped.result,
            ] {
                rewrite(part);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(rewrite),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| entries(&mut entry.expr)),
        Expr::Struct(made) => made.entries.iter_mut().for_each(|entry| entries(&mut entry.expr)),
        Expr::Select(select) => {
            rewrite(&mut select.operand);
            if !select.test {
                let key = LiteralValue::String(std::mem::take(&mut select.field).into());
                let args = vec![std::mem::take(&mut *select.operand), IdedExpr { id, expr: Expr::Literal(key) }];
                tree.expr = Expr::Call(CallExpr { func_name: operators::INDEX.to_owned(), target: None, args });
            }
        }
    }
}

fn entries(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => rewrite(&mut field.value),
        EntryExpr::MapEntry(pair) => {
            rewrite(&mut pair.key);
            rewrite(&mut pair.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use cel::{Context, ExecutionError, IdedExpr, Value as Cel, parser::PrattParser};
    use serde_json::json;

    use super::direct;

    /// A value, or the kind of the error.
    fn answer(tree: &IdedExpr) -> Result<Cel, String> {
        let sample =
            json!({"b": {"c": [1, {"d": "x"}]}, "yes": true, "no": false, "none": null, "n": 3, "list": [1, 2]});
        let mut context = Context::default();
        context.add_variable_from_value("a", cel::to_value(sample).expect("a value"));
        Cel::resolve(tree, &context).map_err(|error| match error {
            ExecutionError::NoSuchKey(key) => format!("no key {key}"),
            ExecutionError::UndeclaredReference(name) => format!("no name {name}"),
            _ => "wrong".to_owned(),
        })
    }

    #[test]
    fn an_expression_gives_the_same_directly() {
        for source in [
            "a.b.c[1].d",
            "a.b.gone",
            "a.gone.c",
            "gone.b.c",
            "a.n.c",
            "a.none.c",
            "a.list.c",
            "has(a.b.c)",
            "has(a.b.gone)",
            "has(a.gone.c)",
            "has(a.n.c)",
            "!a.yes",
            "!a.no && !!a.yes",
            "!a.gone || true",
            "!a.n",
            "a.list.all(i, !(i > a.n))",
            "a.list.exists(i, i == a.b.c[0])",
            "a.list.map(i, {'k': i + a.n})[0].k",
            "a.list.filter(i, !(i == 1)).size()",
            "a.b.c.size()",
            "type(a.list) == list",
            "a.yes ? a.b.c[0] : a.gone",
            "[a.n, a.b.c[0]].exists_one(i, i == 3)",
        ] {
            let plain = PrattParser::new().parse(source).expect("an expression");
            assert_eq!(answer(&direct(plain.clone())), answer(&plain), "{source}");
        }
    }
}

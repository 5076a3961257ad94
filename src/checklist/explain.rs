//! A check, and the list of all checks, told to people and to machines from the check's own file.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{
    catalogue::{Catalogue, UnknownCheck},
    format::{CheckFile, Example},
    rung::{Autonomy, Rung, Severity},
};

/// One line of the list of checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// `area/name`.
    pub id: String,
    /// How much harm its absence allows.
    pub severity: Severity,
    /// What it asks for.
    pub title: String,
    /// The highest rung it can have.
    pub ceiling: Rung,
    /// Clauses of the seed lists.
    pub sources: Vec<String>,
    /// Whether it comes from a team's own folder.
    pub own: bool,
}

/// Every check in one line each, sorted by id.
pub fn list(catalogue: &Catalogue) -> Vec<Listed> {
    catalogue
        .all()
        .map(|check| Listed {
            id: check.id.clone(),
            severity: check.file.severity,
            title: check.file.title.clone(),
            ceiling: check.ceiling(),
            sources: check.file.sources.clone(),
            own: catalogue.is_own(&check.id),
        })
        .collect()
}

/// A check in full.
#[derive(Clone, Debug)]
pub struct Explanation {
    id: String,
    path: String,
    file: CheckFile,
}

/// Explains one check; reads its file only.
pub fn explain(catalogue: &Catalogue, id: &str) -> Result<Explanation, UnknownCheck> {
    let file = catalogue.file(id)?;
    Ok(Explanation { id: id.to_owned(), path: catalogue.path(id).unwrap_or_default().to_owned(), file })
}

impl Explanation {
    /// The same for machines: the keys of the check's file, with `id` and `path`.
    pub fn json(&self) -> Value {
        let mut out = serde_json::Map::new();
        out.insert("id".to_owned(), self.id.clone().into());
        out.insert("path".to_owned(), self.path.clone().into());
        if let Ok(Value::Object(keys)) = serde_json::to_value(&self.file) {
            out.extend(keys);
        }
        Value::Object(out)
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        writeln!(f, "{}  ({})", self.id, file.severity)?;
        writeln!(f, "{}\n", file.title)?;
        writeln!(f, "{}", file.why)?;
        let levels: Vec<&str> = file.autonomy.iter().map(|level| level.word()).collect();
        let who = if levels.len() == Autonomy::ALL.len() { "every agent".to_owned() } else { levels.join(", ") };
        writeln!(f, "\nApplies to {who}{}", if file.applies.is_some() { ", when" } else { "" })?;
        expression(f, file.applies.as_deref())?;
        if let Some(each) = &file.each {
            writeln!(f, "\nAsked of each of")?;
            expression(f, Some(each))?;
        }
        if !file.profiles.is_empty() {
            writeln!(f, "\nAsked for by profile {} only", file.profiles.join(" or "))?;
        }
        for (level, severity) in &file.severity_for {
            writeln!(f, "\nWeighs {severity} for {level}")?;
        }
        Ok(())
    }

    fn rungs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        writeln!(f, "\nRungs")?;
        let rungs = [
            (Rung::Declared, &file.declared),
            (Rung::Verified, &file.verified),
            (Rung::Proven, &file.proven),
            (Rung::Refuted, &file.refuted),
        ];
        for (rung, cel) in rungs {
            let words = file.words.get(&rung);
            if words.is_some() || cel.is_some() {
                writeln!(f, "  {:<9} {}", rung.word(), words.map_or("", String::as_str).trim())?;
                expression(f, cel.as_deref())?;
            }
        }
        for (name, part) in &file.parts {
            writeln!(f, "  #{name}")?;
            for (word, cel) in [
                ("declared", Some(&part.declared)),
                ("verified", part.verified.as_ref()),
                ("proven", part.proven.as_ref()),
            ] {
                if let Some(cel) = cel {
                    writeln!(f, "    {word}")?;
                    expression(f, Some(cel))?;
                }
            }
        }
        for (cause, when) in &file.follows {
            writeln!(f, "  told by {cause}, when")?;
            expression(f, Some(when))?;
        }
        if let Some(cel) = &file.inconclusive {
            writeln!(f, "  could not tell")?;
            expression(f, Some(cel))?;
        }
        for (word, rung) in [("at least", file.floor), ("at most", file.ceiling), ("enough", file.enough)] {
            if let Some(rung) = rung {
                writeln!(f, "  {word} {rung}")?;
            }
        }
        match &file.waits {
            Some(waits) => writeln!(f, "  The next rung waits for {waits}"),
            None => Ok(()),
        }
    }

    fn tail(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        writeln!(f, "\nFix\n  {}", file.fix.trim())?;
        for (when, fix) in file.other_fixes() {
            writeln!(f, "  {fix}\n    when")?;
            expression(f, Some(when))?;
        }
        for line in file.paste.iter().flat_map(|paste| paste.lines()) {
            writeln!(f, "      {line}")?;
        }
        let lists = [("Manifest", &file.fields), ("Thresholds", &file.thresholds), ("Sources", &file.sources)];
        for (word, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            writeln!(f, "\n{word}\n  {}", list.join(", "))?;
        }
        if !file.controls.is_empty() {
            writeln!(f, "\nControls")?;
            for (framework, ids) in &file.controls {
                writeln!(f, "  {framework}: {}", ids.join(", "))?;
            }
        }
        if !file.waivable {
            writeln!(f, "\nIt can't be waived.")?;
        }
        for (word, examples) in [("Trips", &file.examples.trips), ("Passes", &file.examples.passes)] {
            for example in examples {
                writeln!(f, "\n{word}")?;
                shown(f, example)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.rungs(f)?;
        self.tail(f)
    }
}

fn expression(f: &mut fmt::Formatter<'_>, cel: Option<&str>) -> fmt::Result {
    cel.into_iter().flat_map(str::lines).try_for_each(|line| writeln!(f, "      {}", line.trim()))
}

fn shown(f: &mut fmt::Formatter<'_>, example: &Example) -> fmt::Result {
    for (word, value) in [("manifest", &example.manifest), ("evidence", &example.evidence)] {
        if let Value::Object(map) = value {
            for (key, value) in map {
                writeln!(f, "  {word}.{key}: {value}")?;
            }
        }
    }
    Ok(())
}

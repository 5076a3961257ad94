//! The drills in the binary, one data file each. Parses them; makes nothing of them.

use std::{collections::BTreeMap, sync::LazyLock};

use include_dir::{Dir, include_dir};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    expr::Expr,
    record::Wants,
    source::{SourceFile, load_shipped},
};

static DATA: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/scenarios/drills");

/// All drills by name.
pub(super) static DRILLS: LazyLock<BTreeMap<String, DrillFile>> = LazyLock::new(embedded);

/// `drills/*.yaml`: what a scripted model is made to ask for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DrillFile {
    /// What holds when it is held.
    pub(super) title: String,
    /// Why there is nothing to drill where no case has anything.
    pub(super) otherwise: String,
    /// What is asked for, by name.
    pub(super) cases: BTreeMap<String, Case>,
}

/// One kind of call. Expressions are CEL over the evidence document and `reached`, the tools that lawful trials called.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What it is about, each as `it`.
    pub(super) each: Rule,
    /// The tool.
    pub(super) tool: Rule,
    /// The arguments, over `was` (those of a lawful call), `keys` (their names), `required` (of the tool's schema) and `texts`
    /// (of these, those that are texts; first what no pattern or list binds); `was` itself when left out.
    pub(super) args: Option<Rule>,
    /// Arguments on top.
    #[serde(default)]
    pub(super) with: BTreeMap<String, Value>,
    /// Names of arguments that are left out.
    pub(super) without: Option<Rule>,
    /// JSON Pointers to arguments that are another text in each call, as keys of idempotency are.
    pub(super) fresh: Option<Rule>,
    /// What has to become of it.
    #[schemars(with = "String")]
    pub(super) wants: Wants,
    /// The most that may arrive.
    pub(super) most: Option<Rule>,
    /// How many answers ask for it: 1 when left out, 0 for an endless loop.
    pub(super) times: Option<u32>,
    /// How many such calls stand in one answer.
    pub(super) at_once: Option<u32>,
    /// Tokens that each answer is said to have used.
    pub(super) tokens: Option<Rule>,
    /// Tokens that are said to be used before it.
    pub(super) spent: Option<Rule>,
    /// Lawful reads that are asked for before it.
    pub(super) fill: Option<Rule>,
}

/// CEL that is parsed with its file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(super) struct Rule(pub(super) Expr);

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        Expr::parse(&source).map(Self).map_err(|error| error.to_string())
    }
}

fn embedded() -> BTreeMap<String, DrillFile> {
    let files = DATA.files().filter_map(|file| Some((file.path().file_stem()?.to_str()?.to_owned(), file)));
    files
        .map(|(name, file)| {
            let text = file.contents_utf8().expect("a drill is text");
            let loaded = load_shipped::<DrillFile>(SourceFile::new(name.as_str(), text));
            let file = loaded.unwrap_or_else(|slips| unreadable(&name, &slips)).value;
            (name, file)
        })
        .collect()
}

#[expect(clippy::panic, reason = "files in the binary that a test reads")]
fn unreadable(name: &str, slips: &crate::source::Diagnostics) -> ! {
    panic!("{name}: {slips:?}")
}

//! The checklist: check files with CEL rungs over the evidence document, thresholds, waivers and profiles.
//!
//! A check is one data file in `checks/<area>/`; the engine here knows none of them by name. It answers with
//! every check's rung and need, findings at their places in the manifest, waivers weighed and profile rules
//! asked. Pure: must not run the agent, read a clock or decide the verdict.

mod assess;
mod catalogue;
mod check;
mod evaluate;
mod explain;
mod format;
mod framework;
mod functions;
mod profile;
mod reference;
mod rule;
mod rung;
mod tell;
mod threshold;
mod waiver;
mod weakening;

pub use assess::{Assessment, CheckResult, Finding, ManifestView, PartResult, assess};
pub use catalogue::{Catalogue, UnknownCheck};
pub use check::Check;
pub use explain::{Explanation, Listed, explain, list};
pub use format::{CheckFile, Example, Examples, Part};
pub use framework::{Framework, framework_named, frameworks};
pub use functions::subschema;
pub use profile::{Level, Profile, ProfileFile, RuleFile, UnknownProfile, profiles, select};
pub use reference::reference;
pub use rule::{RuleResult, words};
pub use rung::{Autonomy, Rung, Severity, floor};
pub use threshold::{Class, Direction, Threshold, ThresholdProblem, Thresholds, Unit, resolve, show, thresholds};
pub use waiver::{Waiver, WaiverClaim, WaiverState};
pub use weakening::{State, Weakening, weakenings};

#[cfg(test)]
mod sound;
#[cfg(test)]
mod tests;

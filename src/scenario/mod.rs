//! Scenario files: format, loading, and the compiled form that the run and the grader use. Pure but for reading
//! through `source`.
//!
//! Knows of a world only the names in it; what a world does is `world`'s.

mod arguments;
mod compiled;
mod coverage;
mod distinct;
mod entry;
mod expectation;
mod fault;
mod format;
mod inspection;
mod load;
mod names;
mod rigour;
mod script;

pub(crate) use arguments::arguments_are;
pub use compiled::{CLASSES, Expected, PlannedTurn, Scenario};
pub(crate) use compiled::{Made, Parsed};
pub use coverage::{Course, coverage};
pub use distinct::distinct;
pub use fault::{Fault, FaultKind};
pub use format::{
    AnswerExpectation, Attack, Bounds, BudgetExpectation, Category, Change, Expectation, FAULT, Origin, SPOKEN,
    ScenarioEntry, ScenarioFile, Suite, Times, Turn,
};
pub(crate) use inspection::Inspection;
pub use load::{load, schema};
pub use rigour::{Bands, Claims, rigour};
pub use script::Move;

#[cfg(test)]
mod tests;

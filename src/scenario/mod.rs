//! Scenario files: format, loading, and the compiled form that the run and the grader use. Pure but for reading
//! through `source`.

mod format;

pub use format::{
    AnswerExpectation, Attack, Bounds, BudgetExpectation, Category, Expectation, ScenarioEntry, ScenarioFile, Suite,
    Times, Turn,
};

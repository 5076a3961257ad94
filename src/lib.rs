//! agentready
pub mod agent;
pub mod expr;
pub mod grade;
pub mod manifest;
pub mod record;
pub mod report;
pub mod scenario;
pub mod source;
pub mod text;
pub mod units;
pub mod world;

//! Decides whether an AI agent may go to production.
//!
//! ```text
//! manifest ──► facts ───────────────────────────────┐
//!     │                                             ▼
//!     ├──────────► plan ──► run ──► record ──► grade ──► gate ──► checklist ──► verdict ──► report
//! scenarios ─────────┘        │
//!                     agent adapters ⇄ agent under test ⇄ stand-ins ⇄ world
//! ```
//!
//! `import` makes scenarios of other tools' files, `incident` of what went wrong.
//!
//! Everything right of `record` is a pure function of it; what stands left of `run` reads files through `source`
//! alone. The modules below stand in the order of their dependence: each uses only modules above it (a test holds
//! that), and `cli` may use all.

pub mod text;
pub mod units;

pub mod source;

pub mod expr;

pub mod record;

pub mod trace;

pub mod manifest;

pub mod facts;

pub mod checklist;

pub mod scenario;

pub mod plan;

pub mod world;

pub mod import;

pub mod attack;

pub mod provider;

pub mod standin;

pub mod agent;

pub mod stats;

pub mod grade;

pub mod drill;

pub mod incident;

pub mod run;

pub mod verdict;

pub mod exit;

pub mod gate;

pub mod report;

pub mod ui;

pub mod context;

pub mod demo;

pub mod cli;

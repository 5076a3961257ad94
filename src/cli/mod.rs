//! The commands: what the user asked for, carried out with the modules above. One file per
//! command, and what they share: `base`, `case`, `forge`, `git`, `judge`, `live`, `output`, `pages`, `policy`, `raise`, `receipts`, `standing`,
//! `suites`, `token`, `vars`.

mod args;
mod attack;
mod attacks;
mod base;
mod case;
mod check;
mod defect;
mod demo;
mod described;
mod drills;
mod explain;
mod forge;
mod forward;
mod git;
mod import;
mod incident;
mod joined;
mod judge;
mod list;
mod live;
mod lock;
#[cfg(test)]
mod oracles;
mod output;
mod pages;
mod policy;
mod raise;
mod receipts;
mod rerender;
mod schema;
mod selftest;
mod serve;
mod standing;
mod suites;
mod token;
mod try_out;
mod vars;
mod ways_out;

use std::io::Write as _;

pub use args::Cli;
use args::Command;
pub use defect::guard;
use output::Output;

use crate::{context::Context, exit};

/// Prints what clap has to say and gives the exit code: 0 for help and version, 2 for a wrong command line.
pub fn usage(error: &clap::Error) -> u8 {
    // A closed terminal is no reason for another code.
    let _ = error.print();
    if error.use_stderr() { exit::BAD_INPUT } else { exit::GO }
}

/// Carries out a command and gives the exit code.
pub fn run(cli: &Cli) -> u8 {
    let context = match Context::capture() {
        Ok(context) => context,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "internal error: failed to look at the process: {error}");
            return exit::INTERNAL;
        }
    };
    let output = Output::new(cli.color, &context);
    let result = match &cli.command {
        Command::Check(args) => check::check(args, &context, &output),
        Command::Run(args) => try_out::run(args, &context, &output),
        Command::Demo(args) => demo::demo(args, &context, &output),
        Command::DemoAgent(args) => demo::agent(args, &context),
        Command::Attack(args) => attack::attack(args, &context, &output),
        Command::List(args) => list::list(args, &context, &output),
        Command::Explain(args) => explain::explain(args, &context, &output),
        Command::Import(args) => import::import(args, &context, &output),
        Command::Incident(args) => incident::incident(args, &context, &output),
        Command::Lock(args) => lock::lock(args, &context, &output),
        Command::Report(args) => rerender::report(args, &context, &output),
        Command::Replay(args) => rerender::replay(args, &context, &output),
        Command::Schema(args) => schema::schema(args, &output),
        Command::Serve(args) => serve::serve(args, &context, &output),
        Command::Selftest => selftest::selftest(&context, &output),
    };
    result.unwrap_or_else(|fault| {
        output.fault(&fault);
        fault.code()
    })
}

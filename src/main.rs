//! The `agentready` program: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;

/// A check makes and drops millions of small values, on all cores.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    agentready::cli::guard();
    let cli = match agentready::cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(agentready::cli::usage(&error)),
    };
    ExitCode::from(agentready::cli::run(&cli))
}

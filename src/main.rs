//! The binary: arguments in, exit code out. A panic is never exit 0.

use std::process::ExitCode;

use clap::Parser as _;

mod cli;

fn main() -> ExitCode {
    cli::run(&cli::args::Cli::parse())
}

//! `rewind`: the operator's client, the all-in-one server, the practice tenant
//! and the demonstration.
//!
//! Owns the way from the command line to an exit code. Everything that a
//! command does is elsewhere.

mod args;
mod client;
mod commands;
mod demo;
mod failure;
mod installation;
mod output;
mod progress;
mod render;
mod session;
mod simulate;
mod table;
mod text;
mod up;

use std::process::ExitCode;

use clap::Parser;
use runtime::config::ConfigError;
use runtime::exit;
use runtime::program;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::output::Output;

/// Why a command ended early, and the exit code that follows.
enum Ended {
    Call(Failure),
    Server(anyhow::Error),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        Self::Server(error)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            return end(&Failure::Local {
                context: "the program cannot start".to_owned(),
                source,
            }
            .into());
        }
    };
    match runtime.block_on(Box::pin(run(&cli))) {
        Ok(code) => ExitCode::from(code),
        Err(ended) => end(&ended),
    }
}

async fn run(cli: &Cli) -> Result<u8, Ended> {
    let output = Output::new(&cli.global);
    Ok(match &cli.command {
        Command::Demo(args) => {
            tokio::task::block_in_place(|| demo::run(args, &cli.global, output))?
        }
        Command::Up(args) => Box::pin(up::run(args, output)).await?,
        Command::Simulate(args) => simulate::run(args, output).await?,
        Command::Tenant(command) => commands::tenant::run(command, &cli.global, output).await?,
        Command::Snapshot(command) => commands::snapshot::run(command, &cli.global, output).await?,
        Command::Diff(command) => commands::diff::run(command, &cli.global, output).await?,
        Command::Restore(command) => commands::restore::run(command, &cli.global, output).await?,
        Command::Deleted(command) => commands::deleted::run(command, &cli.global, output).await?,
        Command::Keys(command) => commands::keys::run(command, &cli.global, output).await?,
        Command::Protect(command) => commands::protect::run(command, &cli.global, output).await?,
        Command::Signals(command) => commands::signals::run(command, &cli.global, output).await?,
        Command::Access(command) => commands::access::run(command, &cli.global, output).await?,
        Command::Audit(command) => commands::audit::run(command, &cli.global, output).await?,
        Command::Store(command) => commands::store::run(command, &cli.global, output).await?,
    })
}

fn end(ended: &Ended) -> ExitCode {
    match ended {
        Ended::Call(failure) => {
            output::failure(failure);
            ExitCode::from(failure.exit_code())
        }
        Ended::Server(error) => {
            output::report(error);
            ExitCode::from(code_of(error))
        }
    }
}

/// The exit code that an error of a server brings along, wherever in its chain.
fn code_of(error: &anyhow::Error) -> u8 {
    let ended = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<program::Ended>());
    let settings = error.chain().any(|cause| cause.is::<ConfigError>());
    let call = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>());
    match (ended, call) {
        (Some(ended), _) => ended.code,
        (None, Some(call)) => call.exit_code(),
        (None, None) if settings => exit::CONFIGURATION,
        (None, None) => exit::FAILED,
    }
}

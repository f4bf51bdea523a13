//! Entry point of the differ.

use std::process::ExitCode;
use std::sync::Arc;

use runtime::config::Environment;
use differ::{App, Config};

#[tokio::main]
async fn main() -> ExitCode {
    runtime::program::run("differ", Config::read, async |config, stop| {
        App::open(&config, Arc::new(Environment)).await?.run(stop).await?;
        Ok(())
    })
    .await
}

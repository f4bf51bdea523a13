//! Entry point of the restorer.

use std::process::ExitCode;
use std::sync::Arc;

use runtime::config::Environment;
use restorer::{App, Config};

#[tokio::main]
async fn main() -> ExitCode {
    runtime::program::run("restorer", Config::read, async |config, stop| {
        App::open(&config, Arc::new(Environment)).await?.run(stop).await?;
        Ok(())
    })
    .await
}

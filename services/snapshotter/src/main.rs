//! Entry point of the snapshotter.

use std::process::ExitCode;
use std::sync::Arc;

use runtime::config::Environment;
use snapshotter::{App, Config};

#[tokio::main]
async fn main() -> ExitCode {
    runtime::program::run("snapshotter", Config::read, async |config, stop| {
        App::open(&config, Arc::new(Environment)).await?.run(stop).await?;
        Ok(())
    })
    .await
}

//! Entry point of the snapshotter.

use std::process::ExitCode;
use std::sync::Arc;

use runtime::config::Environment;
use runtime::program;
use snapshotter::{App, Config};

#[tokio::main]
async fn main() -> ExitCode {
    program::run("snapshotter", Config::complete, async |config, stop| {
        let app = App::open(&config, Arc::new(Environment)).await?;
        Ok(app.run(stop).await?)
    })
    .await
}

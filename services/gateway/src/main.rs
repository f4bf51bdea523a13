//! Entry point of the gateway.

use std::process::ExitCode;
use std::sync::Arc;

use gateway::{App, Config};
use runtime::config::Environment;
use runtime::program;

#[tokio::main]
async fn main() -> ExitCode {
    program::run("gateway", Config::complete, async |config, stop| {
        let app = App::open(&config, Arc::new(Environment)).await?;
        Ok(app.run(stop).await?)
    })
    .await
}

//! Entry point of the gateway.

use std::process::ExitCode;

use gateway::{App, Config};
use runtime::program;

#[tokio::main]
async fn main() -> ExitCode {
    program::run("gateway", Config::complete, async |config, stop| {
        Ok(App::open(&config).await?.run(stop).await?)
    })
    .await
}

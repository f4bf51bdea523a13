//! Entry point of the gateway.

use std::process::ExitCode;

use gateway::{App, Config};
use runtime::program::{self, Ended};

#[tokio::main]
async fn main() -> ExitCode {
    program::run("gateway", Config::read, async |config, stop| {
        let app = App::open(&config).await;
        let app = app.map_err(|error| Ended::new(error.exit_code(), error))?;
        Ok(app.run(stop).await?)
    })
    .await
}

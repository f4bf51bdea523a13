//! Entry point of the restorer.

use std::process::ExitCode;
use std::sync::Arc;

use restorer::{App, Config};
use runtime::config::Environment;
use runtime::program::{self, Ended};

#[tokio::main]
async fn main() -> ExitCode {
    program::run("restorer", Config::read, async |config, stop| {
        let app = App::open(&config, Arc::new(Environment)).await;
        let app = app.map_err(|error| Ended::new(error.exit_code(), error))?;
        Ok(app.run(stop).await?)
    })
    .await
}

//! `rewind up`: all four services in one process.

use crate::args::UpArgs;
use crate::installation::Installation;
use crate::output::Output;

/// Serves until it is told to stop; answers the exit code.
///
/// # Errors
/// What keeps it from serving.
pub(crate) async fn run(args: &UpArgs, output: Output) -> anyhow::Result<u8> {
    let _telemetry = runtime::telemetry::init("rewind", runtime::telemetry::Format::Text);
    let stop = runtime::signal::stop_token()?;
    let mut installation = Installation::start(&args.data, args.listen, &[]).await?;
    output.line(&format!("ready {}", installation.url))?;
    output.note(&format!(
        "the console is at {}/: sign in with the operator's token, which is in {}; that of a second person, who approves plans, is in {}; in another terminal:\n  export REWIND_GATEWAY={} REWIND_TOKEN_FILE={}",
        installation.url,
        installation.token_file.display(),
        installation.approver_file.display(),
        installation.url,
        installation.token_file.display(),
    ));
    tokio::select! {
        () = stop.cancelled() => {}
        ended = installation.ended() => ended?,
    }
    installation.stop().await?;
    Ok(runtime::exit::DONE)
}

//! `rewind store …`: looks after the object store.

use proto::json::to_json;
use proto::v1::{self, StoreOutcome};
use runtime::exit;

use crate::args::{Global, StoreCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::table;
use crate::text::word;

/// Runs one of the commands.
pub(crate) async fn run(
    command: &StoreCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        StoreCommand::Check => check(global, output).await,
    }
}

async fn check(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let request = session.client.unary(v1::CheckStoreRequest {
        request_id: session.client.request_id(),
    });
    let answer = session
        .client
        .store()
        .check_store(request)
        .await?
        .into_inner();
    output.result(
        || to_json("CheckStoreResponse", &answer),
        || {
            let row = |finding: &v1::StoreFinding| {
                [
                    finding.store.clone(),
                    finding.check.clone(),
                    word(finding.outcome().as_str_name(), "STORE_OUTCOME_"),
                    finding.detail.clone(),
                ]
            };
            table(
                ["STORE", "CHECK", "RESULT", "DETAIL"],
                answer.findings.iter().map(row),
            )
        },
    )?;
    Ok(code(&answer))
}

/// A needed property counts as missing unless it was seen.
fn code(answer: &v1::CheckStoreResponse) -> u8 {
    let needed: Vec<StoreOutcome> = answer
        .findings
        .iter()
        .filter(|finding| finding.needed)
        .map(v1::StoreFinding::outcome)
        .collect();
    let seen = needed.iter().all(|outcome| *outcome == StoreOutcome::Ok);
    if seen && !needed.is_empty() {
        exit::DONE
    } else {
        exit::FAILED
    }
}

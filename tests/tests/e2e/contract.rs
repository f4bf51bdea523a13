//! The Directory contract, on the real client over the simulator.

use graph::{Mode, Request, collect_content};
use runtime::{Clock, SystemClock};
use simulator::{Population, Simulator, TenantSpec};
use tokio::net::TcpListener;

use crate::sandbox::{self, TENANT};

#[tokio::test]
async fn the_real_client_keeps_the_directory_contract() -> anyhow::Result<()> {
    runtime::tls::install_provider();
    let simulator = Simulator::new();
    let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
    tenant.populate(&Population {
        users: 60,
        groups: 12,
        seed: 3,
    });
    let server = simulator
        .serve(TcpListener::bind("127.0.0.1:0").await?)
        .await;

    let directory = sandbox::intruder(&server)?;
    let seeded = collect_content(
        &directory,
        &Request::all(Mode::Whole),
        &|| SystemClock.now(),
        &|_| {},
    )
    .await?;
    let problems: Vec<_> = seeded
        .completeness
        .iter()
        .filter(|record| !record.is_complete())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
    testkit::directory::contract::check(&directory, &seeded).await;
    server.shutdown().await;
    Ok(())
}

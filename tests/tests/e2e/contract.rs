//! The Directory contract, on the real client over the simulator.

use std::sync::Arc;

use graph::{Connections, Credential, Endpoint, GraphWriter, Scope, Settings};
use model::TenantId;
use runtime::{Clock, Ids, SystemClock, SystemIds};
use simulator::{Population, Simulator, TenantSpec};
use tokio::net::TcpListener;

use crate::sandbox::TENANT;

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

    let (login, graph) = (server.url(), format!("{}/v1.0", server.url()));
    let hosts = (Some(graph.as_str()), Some(login.as_str()));
    let endpoint = Endpoint::of(
        &TenantId::parse(TENANT)?,
        "global",
        hosts,
        simulator::INTRUDER_CLIENT_ID,
    )?;
    let settings = Settings::new(Connections::new()?, Arc::new(|| SystemIds.uuid()));
    let directory = GraphWriter::new(
        &endpoint,
        Credential::Secret(simulator::INTRUDER_SECRET.into()),
        settings,
    );

    let seeded = graph::collect(&directory, &Scope::all(), &|| SystemClock.now(), &|_| {}).await?;
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

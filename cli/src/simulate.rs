//! `rewind simulate`: the practice tenant alone, until it is told to stop.
//!
//! Owns how the practice tenant is filled and announced. Its client secrets are
//! published constants; nothing real may ever be put into it.

use std::time::Duration;

use anyhow::Context as _;
use simulator::{
    FaultMix, Population, READER_CLIENT_ID, READER_SECRET, Replication, Simulator, TenantSpec,
    Throttle, WRITER_CLIENT_ID, WRITER_SECRET,
};

use crate::args::{Limits, SimulateArgs};
use crate::output::Output;

/// The practice tenant's id.
pub(crate) const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000beef";
/// What is made up where nothing is loaded and no number is given.
const USERS: usize = 100;
const GROUPS: usize = 20;

/// Serves the practice tenant; answers the exit code.
///
/// # Errors
/// Where the address cannot be bound or a file cannot be loaded.
pub(crate) async fn run(args: &SimulateArgs, output: Output) -> anyhow::Result<u8> {
    let stop = runtime::signal::stop_token().context("the signals cannot be heard")?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let simulator = Simulator::new();
    let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
    for path in &args.load {
        tenant
            .load(path)
            .with_context(|| format!("cannot load {}", path.display()))?;
    }
    if let Some(population) = population(args) {
        tenant.populate(&population);
    }
    misbehave(&simulator, args);
    let server = simulator.serve(listener).await;
    let url = server.url();
    output.line(&format!("ready {url}"))?;
    output.note(&registration(&url));
    stop.cancelled().await;
    server.shutdown().await;
    Ok(runtime::exit::DONE)
}

/// Sets the limits, faults and lag that were asked for, once the tenant is filled.
fn misbehave(simulator: &Simulator, args: &SimulateArgs) {
    if args.throttle == Limits::Documented {
        simulator.set_throttle(Throttle::Documented);
    }
    if args.faults > 0.0 {
        simulator.set_fault_mix(Some(FaultMix::of(args.faults, args.seed)));
    }
    if args.lag > 0.0 {
        simulator.set_replication(Replication {
            max_lag: Duration::from_secs_f64(args.lag),
            seed: args.seed,
        });
    }
}

/// Who is made up: nobody where objects were loaded and no number is given.
fn population(args: &SimulateArgs) -> Option<Population> {
    let asked = args.users.is_some() || args.groups.is_some();
    let number = |given: Option<usize>, usual| given.unwrap_or(if asked { 0 } else { usual });
    (asked || args.load.is_empty()).then(|| Population {
        users: number(args.users, USERS),
        groups: number(args.groups, GROUPS),
        seed: args.seed,
    })
}

/// How a gateway gets to know the practice tenant.
fn registration(url: &str) -> String {
    format!(
        "\
register it with a gateway that allows custom clouds, whose services run with

  export REWIND_CREDENTIAL_READER_PRACTICE={READER_SECRET}
  export REWIND_CREDENTIAL_WRITER_PRACTICE={WRITER_SECRET}

by

  rewind tenant add --id {TENANT} --name Practice \\
    --graph-url {url}/v1.0 --login-url {url} \\
    --reader-client-id {READER_CLIENT_ID} --reader-secret env:REWIND_CREDENTIAL_READER_PRACTICE \\
    --writer-client-id {WRITER_CLIENT_ID} --writer-secret env:REWIND_CREDENTIAL_WRITER_PRACTICE

change, spoil and watch it at {url}/simulator/ as docs/simulator.md says
"
    )
}

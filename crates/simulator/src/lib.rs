//! A practice tenant: an emulator of Microsoft Graph v1.0 for Entra ID objects.
//!
//! It is the other side of the wire. It depends on no other Rewind crate, because a shared
//! mistake would be invisible. It must never be mistaken for a directory: state lives in memory,
//! secrets are published constants, and nothing here decides what Rewind does.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use simulator::{Population, Simulator, TenantSpec};
//!
//! let simulator = Simulator::new();
//! let tenant = simulator.add_tenant(TenantSpec::practice("7f3f4c1e-0000-4000-8000-000000000001"));
//! tenant.populate(&Population { users: 200, groups: 30, seed: 7 });
//! let server = simulator.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await?).await;
//! let graph = format!("{}/v1.0", server.url());
//! # let _ = graph;
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod attack;
mod audit;
mod catalog;
mod clock;
mod control;
mod counters;
mod deed;
mod dump;
mod fault;
mod hook;
mod http;
mod ids;
mod load;
mod mutate;
mod odata;
mod populate;
mod record;
mod simulator;
mod state;
mod tenant;
mod throttle;
mod trust;
mod write;

pub use catalog::known_properties;
pub use clock::Clock;
pub use counters::{AppCount, Counters, RouteCount, Violation, ViolationKind};
pub use dump::{SERVICE_WRITTEN, differences, live_differences};
pub use fault::mix::{FaultMix, FaultWeights};
pub use fault::{Fault, FaultResponse, Matcher};
pub use hook::{Hook, RequestInfo};
pub use http::audits::AuditLog;
pub use http::delta::traps::DeltaTraps;
pub use load::{LoadError, LoadReport};
pub use mutate::Reach;
pub use populate::{Populated, Population};
pub use simulator::{ServerHandle, Simulator, TenantHandle};
pub use state::history::DeltaExpiry;
pub use state::replicas::Replication;
pub use tenant::{
    ActingUser, App, INTRUDER_CLIENT_ID, INTRUDER_SECRET, Licence, READER_CLIENT_ID, READER_SECRET,
    TenantSpec, WRITER_CLIENT_ID, WRITER_SECRET,
};
pub use throttle::Throttle;
pub use trust::Trust;

//! What every service needs to run, and nothing about tenants.
//!
//! Owns configuration, telemetry, metrics, TLS, the gRPC server with health, reflection
//! and bounded drain, the choice among a service's replicas, the one mapping of errors
//! to statuses and exit codes, the registry of running jobs, paging, who calls, which
//! addresses are public, the allocator of every program, and the seams for time and identity. It knows no
//! service, no message and no tenant, and it never
//! writes anything.

pub mod caller;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod exit;
pub mod ids;
pub mod jobs;
pub mod metrics;
pub mod page;
pub mod program;
pub mod public;
pub mod replicas;
pub mod serve;
pub mod signal;
pub mod status;
pub mod telemetry;
pub mod tls;

/// Snapshots and reports take millions of small pieces of memory, some threads'
/// pieces given back by others; this allocator is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use clock::{Clock, ManualClock, SystemClock};
pub use ids::{Ids, SeededIds, SystemIds};
pub use jobs::Jobs;
pub use replicas::Replicas;
pub use serve::{MAX_MESSAGE_SIZE, Server, connect};
pub use status::{Fault, Remote, status};

//! Microsoft Graph, seen from this program.
//!
//! Owns tokens, paging, batching, retries, quotas, the [`Directory`] seam with its two
//! real implementations, and the collector that reads a whole tenant through
//! it. A reader has no way to write; a token is sent to no host but the
//! tenant's own Graph; nothing here purges a deleted object.

mod auth;
mod batch;
mod budget;
mod busy;
mod changes;
mod client;
mod cloud;
pub mod collect;
mod directory;
mod error;
mod guard;
mod json;
pub mod lists;
mod meter;
pub mod posture;
mod reader;
mod request;
mod retry;
mod roles;
mod settings;
mod writer;
mod yielding;

pub use auth::{Credential, Logins, Now, Read};
pub use budget::{Budget, LaneUse, Limits, Role};
pub use cloud::Endpoint;
pub use collect::{Mode, Outcome, Progress, Request, Scope, collect, collect_content};
pub use directory::{
    Announced, AuditPage, ChangeNext, ChangePage, ChangesFrom, Collection, Directory,
    DirectoryWriter, Fate, NextLink, Owners, Page, Presence, Query, Sent, selection,
};
pub use error::GraphError;
pub use guard::refuse_purge;
pub use meter::measured;
pub use model::snapshot::Past;
pub use reader::GraphReader;
pub use retry::{RetryPolicy, Sleeper};
pub use settings::{Connections, Ids, Priority, Settings};
pub use writer::GraphWriter;
pub use yielding::{LOOK, give_way, giving_way};

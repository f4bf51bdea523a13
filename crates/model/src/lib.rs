//! What a tenant's directory is made of, and what follows from two states of it.
//!
//! Owns the catalogue of object types, the canonical form, the difference of
//! two states, the rules for drift and for the audit log, the restore plan, who has to approve it, whom policies
//! lock out, how hard deletion is guarded, the names of slots, who callers are and what they may
//! do, and the error kinds.
//! Everything here is a function of values: no I/O, no clock, no async.

pub mod application;
pub mod approval;
pub mod audit;
pub mod call;
pub mod canonical;
pub mod catalogue;
pub mod cloud;
pub mod diff;
pub mod drift;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod grant;
pub mod id;
pub mod json;
pub mod licence;
pub mod lineage;
pub mod lockout;
pub mod names;
pub mod object;
pub mod permission;
pub mod person;
pub mod plan;
pub mod posture;
pub mod references;
pub mod retention;
pub mod roles;
pub mod schedule;
pub mod slot;
pub mod snapshot;
pub mod watch;

pub use application::{Application, Proof, ProofKind};
pub use catalogue::{LinkKind, ObjectType};
pub use cloud::Cloud;
pub use error::{ErrorKind, Reason};
pub use id::{ObjectId, PlanId, ReportId, RestoreId, SignalId, SnapshotId, TenantId};
pub use object::{Link, Object, ObjectRef, ObjectState};

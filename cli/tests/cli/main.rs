//! `rewind` as a process against a gateway that answers from a script.
//!
//! Owns the client's contract: what it sends, what it prints where, and its
//! exit codes. Nothing here needs a tenant.

mod access;
mod auditing;
mod canned;
mod copying;
mod deleted;
mod errors;
mod exporting;
mod fake;
mod gateway;
mod keys;
mod page;
mod protecting;
mod reading;
mod reports;
mod restoring;
mod signals;
mod simulating;
mod tenants;
mod usage;
mod waiting;

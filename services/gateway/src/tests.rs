//! The gateway as a whole, over real connections.

pub(crate) mod issuer;
mod support;

mod access;
mod audit;
mod door;
mod guarded;
mod house;
mod limits;
mod overview;
mod scripted;
mod stage;

mod compat;
mod console;
mod proxy;
mod replicas;
mod reporting;
mod restoring;
mod tenants;
mod walk;
mod watching;

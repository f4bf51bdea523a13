//! The gateway as a whole, over real connections.

pub(crate) mod issuer;
mod support;

mod access;
mod door;
mod limits;
mod audit;
mod guarded;
mod house;
mod overview;
mod scripted;
mod stage;

mod console;
mod compat;
mod proxy;
mod replicas;
mod reporting;
mod restoring;
mod tenants;
mod walk;
mod watching;

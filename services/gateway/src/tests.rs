//! The gateway as a whole, over real connections.

pub(crate) mod issuer;
mod support;

mod access;
mod limits;
mod audit;
mod guarded;
mod house;
mod overview;
mod proxy;
mod replicas;
mod tenants;
mod walk;

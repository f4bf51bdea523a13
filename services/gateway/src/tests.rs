//! The gateway as a whole, over real connections.

pub(crate) mod issuer;
mod support;

mod access;
mod door;
mod limits;
mod proxy;
mod replicas;
mod tenants;
mod walk;

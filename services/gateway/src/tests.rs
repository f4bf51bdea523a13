//! The gateway as a whole, over real connections.

mod support;

mod compat;
mod proxy;
mod replicas;
mod tenants;
mod walk;

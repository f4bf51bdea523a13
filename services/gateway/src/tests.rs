//! The gateway as a whole, over real connections.

mod support;

mod guarded;
mod house;
mod overview;
mod proxy;
mod replicas;
mod tenants;
mod walk;

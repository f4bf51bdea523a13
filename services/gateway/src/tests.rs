//! The gateway as a whole, over real connections.

mod scripted;
mod stage;
mod support;

mod console;
mod proxy;
mod replicas;
mod reporting;
mod restoring;
mod tenants;
mod walk;
mod watching;

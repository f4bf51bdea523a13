//! The gateway as a whole, over real connections.

mod support;

mod proxy;
mod tenants;
mod walk;

//! The client on a real connection, against a server that misbehaves as told.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

mod auth;
mod batch;
mod bodies;
mod connections;
mod credentials;
mod quotas;
mod raw;
mod reads;
mod retries;
mod roles;
mod server;
mod trouble;
mod writes;

use model::ObjectId;

/// The id with that number at its end.
fn id(number: u32) -> ObjectId {
    ObjectId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

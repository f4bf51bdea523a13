//! The emulated service, asked over HTTP as any client would.

#![allow(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

mod assertions;
mod attack;
mod batch;
mod bin;
mod conditional;
mod delta;
mod links;
mod loading;
mod login;
mod reads;
mod support;
mod traffic;
mod writes;

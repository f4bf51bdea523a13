//! The emulated service, asked over HTTP as any client would.

#![allow(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

mod actions;
mod assertions;
mod attack;
mod audits;
mod batch;
mod bin;
mod conditional;
mod control;
mod delta;
mod faults;
mod links;
mod loading;
mod login;
mod mutating;
mod reads;
mod relations;
mod support;
mod tenant;
mod traffic;
mod traps;
mod units;
mod writes;

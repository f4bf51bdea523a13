//! `rewind` as a process against a practice tenant: what a user does, what a
//! crash leaves, what bad input brings.
//!
//! The tenant is in the test's own process, so that a test can hold a request
//! up, count what was asked and compare the directory object by object.

mod bad;
mod copy;
mod demo;
mod export;
mod keys;
mod kill;
mod recreate;
mod signals;
mod support;
mod verify;
mod walk;
mod webhooks;

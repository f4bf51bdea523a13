//! The public contract `rewind.v1`.
//!
//! Owns the generated messages and services, their descriptors with the access
//! options, resource names, protobuf JSON, the conversions between messages and
//! the model, and how a report is read whole. It never opens a connection.

pub mod convert;
pub mod json;
pub mod name;
pub mod reports;

#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::or_fun_call,
    clippy::semicolon_if_nothing_returned,
    reason = "generated code; the comments stand in the proto files"
)]
pub mod v1 {
    //! Generated messages, clients and servers of `rewind.v1`.
    tonic::include_proto!("rewind.v1");
}

/// The encoded file descriptor set of the contract, custom options included;
/// what reflection serves and the gateway enforces from.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rewind.bin"));

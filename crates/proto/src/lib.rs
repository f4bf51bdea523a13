//! The public contract `rewind.v1`.
//!
//! Owns the generated messages and services, their descriptors with the access
//! options, resource names, and the conversions between messages and the
//! model. It never talks to anything.

#[allow(missing_docs, clippy::all, reason = "generated code; the comments stand in the proto files")]
pub mod v1 {
    //! Generated messages, clients and servers of `rewind.v1`.
    tonic::include_proto!("rewind.v1");
}

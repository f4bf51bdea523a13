//! The formats of stored JSON files, one module per version.
//!
//! A format that was ever written stays readable; a change of meaning is a new
//! module. Nothing outside knows these types.

pub(crate) mod v1;

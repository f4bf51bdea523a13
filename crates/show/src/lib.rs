//! How what the services answer reads, to people and as documents for programs.
//!
//! Owns the words for types, kinds of changes and obstacles, the taming of text that
//! comes from a tenant, and the documents that a difference report is written as. The
//! client and the console say the same with it. It opens no connection and decides
//! nothing about a change: what a message says is what is shown.

pub mod compare;
pub mod document;
pub mod text;
pub mod who;
pub mod words;

//! The installed program.

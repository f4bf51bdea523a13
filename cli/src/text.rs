//! Values as a person reads them.

pub(crate) use show::text::{count, id_of, json, shorten, size, tame, time, word};

//! Signing in by client credentials, for one application in one tenant.
//!
//! Owns what an application proves itself with, and the tokens that it gets. A
//! token is kept until five minutes before it ends and fetched by one caller at
//! a time; a process keeps one for each application in each tenant. Neither
//! what proves the application nor a token appears in an error, in `Debug` or
//! in a log.

mod assertion;
mod claims;
mod credential;
mod refusal;
mod tokens;

pub use credential::{Credential, Logins, Now, Read};
pub(crate) use tokens::{Token, Tokens};

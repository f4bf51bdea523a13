//! What a delta token carries, and its opaque form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::Kind;

/// The content of a skip or delta token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) kind: String,
    pub(super) select: Option<String>,
    pub(super) ids: Option<Vec<Uuid>>,
    /// Position in the log from which changes are owed.
    pub(super) from: usize,
    /// End of the running later round; absent in a first round and between rounds.
    pub(super) to: Option<usize>,
    /// First round: everything up to this object was begun.
    pub(super) after: Option<Uuid>,
    /// Objects whose members were served only up to a target, with that target.
    #[serde(default)]
    pub(super) unfinished: Vec<(Uuid, Uuid)>,
    pub(super) first: bool,
    /// Pages of the round so far.
    pub(super) page: u32,
    /// The page before was empty on purpose.
    pub(super) paused: bool,
    pub(super) issued: f64,
    pub(super) epoch: u64,
}

pub(super) fn encode(token: &Token) -> String {
    // Serialising a plain struct of numbers and strings cannot fail.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).unwrap_or_default())
}

pub(super) fn decode(token: &str, kind: Kind) -> Option<Token> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let token: Token = serde_json::from_slice(&bytes).ok()?;
    (token.kind == kind.name()).then_some(token)
}

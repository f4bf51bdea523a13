//! Which of the documented liberties delta rounds take, and the chance behind them.
//!
//! A trap may repeat, reorder or withhold for a while; it must never tell what was not true of the
//! state that the page was served from, nor lose a change.

use serde::{Deserialize, Serialize};

use crate::http::delta::token::Token;
use crate::ids::Ids;

/// The liberties that Microsoft documents or that its users report, all off by default.
///
/// Some are no setting because the real service always behaves so: a restored object appears as a
/// new one, and soft-deleting a member says nothing about its groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct DeltaTraps {
    /// Chooses where the traps are.
    pub seed: u64,
    /// Items of earlier pages and rounds are served again, as they are now.
    pub replays: bool,
    /// Items appear twice on one page.
    pub duplicates: bool,
    /// The items of a page come in any order.
    pub reordering: bool,
    /// Pages without items carry a next link.
    pub empty_pages: bool,
    /// First rounds tell of removed objects, also of some that are long gone.
    pub removed_at_first: bool,
    /// Other objects come between two slices of one group's members.
    pub interleaved_slices: bool,
    /// Hard-deleting a member says nothing about its groups.
    pub silent_hard_deletes: bool,
    /// The most items of a page; the service's own number where absent.
    pub page: Option<usize>,
    /// The most links of a page; the service's own number where absent.
    pub slice: Option<usize>,
}

impl DeltaTraps {
    /// Every trap, on small pages so that small tenants meet them.
    #[must_use]
    pub fn all(seed: u64) -> Self {
        Self {
            seed,
            replays: true,
            duplicates: true,
            reordering: true,
            empty_pages: true,
            removed_at_first: true,
            interleaved_slices: true,
            silent_hard_deletes: true,
            page: Some(7),
            slice: Some(3),
        }
    }

    /// The chance of one page: the same page of the same round meets the same traps.
    pub(super) fn dice(&self, token: &Token) -> Ids {
        let parts = [
            token.from as u64,
            u64::from(token.page),
            u64::from(token.first),
            token.kind.len() as u64,
            token.select.as_ref().map_or(0, |names| names.len() as u64),
        ];
        let seed = parts.iter().fold(self.seed, |hash, part| {
            (hash ^ part)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23)
        });
        Ids::seeded(seed)
    }
}

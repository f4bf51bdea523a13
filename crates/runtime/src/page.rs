//! Pages of a list.
//!
//! Owns page sizes and the opaque tokens that say where a page ended. A token
//! carries no secret and no authority: what a caller may see is decided anew on
//! each call.

use crate::status::Fault;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::ErrorKind;
use model::error::reason;

/// The page size where the caller names none.
pub const DEFAULT_SIZE: usize = 100;
/// The largest page.
pub const MAX_SIZE: usize = 1000;

/// A page that cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The size is negative.
    #[error("page_size: a number from 0 to 1000 is expected")]
    Size,
    /// The token is not one of ours.
    #[error("page_token: the token of an earlier answer is expected")]
    Token,
}

impl Fault for PageError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn reason(&self) -> &'static str {
        reason::INVALID_ARGUMENT
    }

    fn violations(&self) -> Vec<(String, String)> {
        let field = match self {
            Self::Size => "page_size",
            Self::Token => "page_token",
        };
        vec![(field.to_owned(), self.to_string())]
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; empty on the last.
    pub next_page_token: String,
}

/// Which part of a list a call asks for, counted from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first item.
    pub offset: usize,
    /// At most this many.
    pub limit: usize,
}

impl Window {
    /// Reads a request's `page_size` and `page_token`.
    ///
    /// # Errors
    /// Invalid where either is not valid.
    pub fn read(page_size: i32, page_token: &str) -> Result<Self, PageError> {
        let offset = match decode(page_token, "o")? {
            None => 0,
            Some(text) => text.parse::<u32>().map_err(|_| PageError::Token)? as usize,
        };
        Ok(Self {
            offset,
            limit: limit(page_size)?,
        })
    }

    /// The token for the page after this one, where the list has that many items.
    #[must_use]
    pub fn next_page_token(&self, total: usize) -> String {
        let next = self.offset.saturating_add(self.limit);
        if next < total {
            encode("o", &next.to_string())
        } else {
            String::new()
        }
    }
}

/// A page by position; for lists that never change.
///
/// # Errors
/// Invalid where the size or the token is not valid.
pub fn paginate<T>(items: Vec<T>, page_size: i32, page_token: &str) -> Result<Page<T>, PageError> {
    let window = Window::read(page_size, page_token)?;
    let next_page_token = window.next_page_token(items.len());
    Ok(Page {
        items: items
            .into_iter()
            .skip(window.offset)
            .take(window.limit)
            .collect(),
        next_page_token,
    })
}

/// A page by position of what was chosen from a list that never changes. `choice`
/// is what tells one choice from another, empty where all was chosen; a token is
/// good for the choice that it came with, since in another its place is another.
///
/// # Errors
/// Invalid where the size or the token is not valid.
pub fn paginate_choice<T>(
    items: Vec<T>,
    choice: &[u8],
    page_size: i32,
    page_token: &str,
) -> Result<Page<T>, PageError> {
    if choice.is_empty() {
        return paginate(items, page_size, page_token);
    }
    let sort = format!("o{}", &blake3::hash(choice).to_hex()[..16]);
    let offset = match decode(page_token, &sort)? {
        None => 0,
        Some(text) => text.parse::<u32>().map_err(|_| PageError::Token)? as usize,
    };
    let limit = limit(page_size)?;
    let next = offset.saturating_add(limit);
    let next_page_token = match next < items.len() {
        true => encode(&sort, &next.to_string()),
        false => String::new(),
    };
    Ok(Page {
        items: items.into_iter().skip(offset).take(limit).collect(),
        next_page_token,
    })
}

/// How a list is sorted by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A page by key; for lists that may grow or shrink between two pages. The
/// items must be sorted by the key in the given order.
///
/// # Errors
/// Invalid where the size or the token is not valid.
pub fn paginate_by_key<T>(
    items: Vec<T>,
    page_size: i32,
    page_token: &str,
    order: Order,
    key: impl Fn(&T) -> &str,
) -> Result<Page<T>, PageError> {
    let limit = limit(page_size)?;
    let after = decode(page_token, "k")?;
    let is_later = |item: &T| match (&after, order) {
        (None, _) => true,
        (Some(after), Order::Ascending) => key(item) > after.as_str(),
        (Some(after), Order::Descending) => key(item) < after.as_str(),
    };
    let mut items: Vec<T> = items.into_iter().filter(is_later).take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next_page_token = items
        .last()
        .filter(|_| more)
        .map(|last| encode("k", key(last)))
        .unwrap_or_default();
    Ok(Page {
        items,
        next_page_token,
    })
}

/// Which page of a list a call asks for that is read from a key on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The key of the last item before it; `None` for the first page.
    pub key: Option<String>,
    /// At most this many.
    pub limit: usize,
}

impl After {
    /// Reads a request's `page_size` and `page_token`.
    ///
    /// # Errors
    /// Invalid where either is not valid.
    pub fn read(page_size: i32, page_token: &str) -> Result<Self, PageError> {
        Ok(Self {
            key: decode(page_token, "k")?,
            limit: limit(page_size)?,
        })
    }

    /// The token for the page after an item with this key.
    #[must_use]
    pub fn token(key: &str) -> String {
        encode("k", key)
    }
}

fn limit(page_size: i32) -> Result<usize, PageError> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
        Err(_) => Err(PageError::Size),
    }
}

fn encode(sort: &str, place: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{sort}:{place}"))
}

/// The place that a token names; `None` for an empty token.
fn decode(token: &str, sort: &str) -> Result<Option<String>, PageError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| PageError::Token)?;
    let text = String::from_utf8(bytes).map_err(|_| PageError::Token)?;
    let place = text
        .strip_prefix(sort)
        .and_then(|rest| rest.strip_prefix(':'))
        .ok_or(PageError::Token)?;
    Ok(Some(place.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|n| format!("{n:04}")).collect()
    }

    #[test]
    fn pages_by_position_make_up_the_list() {
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = paginate(names(0..25), 10, &token).expect("valid");
            seen.extend(page.items);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, names(0..25));
        assert_eq!(
            paginate(names(0..10), 10, "")
                .expect("valid")
                .next_page_token,
            "",
            "a full last page is the last"
        );
    }

    #[test]
    fn a_token_is_good_for_its_own_choice() {
        let page = |choice: &[u8], token: &str| paginate_choice(names(0..5), choice, 2, token);
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = page(b"a", &token).expect("valid");
            seen.extend(page.items);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, names(0..5));
        let next = |choice: &[u8]| page(choice, "").expect("valid").next_page_token;
        assert_eq!(page(b"b", &next(b"a")), Err(PageError::Token));
        assert_eq!(page(b"", &next(b"a")), Err(PageError::Token));
        assert_eq!(page(b"a", &next(b"")), Err(PageError::Token));
        assert_eq!(page(b"", &next(b"")).expect("valid").items, names(2..4));
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(
            paginate(names(0..5000), 0, "").expect("valid").items.len(),
            100
        );
        assert_eq!(
            paginate(names(0..5000), 5000, "")
                .expect("valid")
                .items
                .len(),
            1000
        );
        assert_eq!(paginate(names(0..1), -1, ""), Err(PageError::Size));
    }

    #[test]
    fn pages_by_key_bear_changes_between_them() {
        let first =
            paginate_by_key(names(0..6), 2, "", Order::Ascending, String::as_str).expect("valid");
        assert_eq!(first.items, ["0000", "0001"]);
        let shrunk = names(2..6);
        let second = paginate_by_key(
            shrunk,
            2,
            &first.next_page_token,
            Order::Ascending,
            String::as_str,
        )
        .expect("valid");
        assert_eq!(second.items, ["0002", "0003"]);

        let newest_first = |range| names(range).into_iter().rev().collect::<Vec<_>>();
        let first = paginate_by_key(newest_first(0..4), 2, "", Order::Descending, String::as_str)
            .expect("valid");
        let second = paginate_by_key(
            newest_first(0..9),
            2,
            &first.next_page_token,
            Order::Descending,
            String::as_str,
        )
        .expect("valid");
        assert_eq!(
            (first.items, second.items),
            (
                vec!["0003".to_owned(), "0002".to_owned()],
                vec!["0001".to_owned(), "0000".to_owned()]
            )
        );
        assert_eq!(second.next_page_token, "");
    }

    #[test]
    fn a_page_may_begin_after_a_key() {
        let first = After::read(0, "").expect("valid");
        assert_eq!((first.key, first.limit), (None, DEFAULT_SIZE));
        let next = After::read(5, &After::token("user/1")).expect("valid");
        assert_eq!((next.key.as_deref(), next.limit), (Some("user/1"), 5));
        assert_eq!(After::read(1, &encode("o", "1")), Err(PageError::Token));
        assert_eq!(After::read(-1, ""), Err(PageError::Size));
    }

    #[test]
    fn foreign_tokens_are_invalid() {
        let by_key = encode("k", "a");
        for token in ["x", "####", "bzp4", by_key.as_str()] {
            let error = paginate(names(0..3), 1, token).expect_err(token);
            assert_eq!(error, PageError::Token);
            assert_eq!(error.violations()[0].0, "page_token");
        }
        assert!(
            paginate_by_key(
                names(0..3),
                1,
                &encode("o", "1"),
                Order::Ascending,
                String::as_str
            )
            .is_err()
        );
    }
}

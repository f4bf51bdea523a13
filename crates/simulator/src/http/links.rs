//! Paging: opaque skip tokens and the links that carry them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::http::Call;
use crate::http::reply::GraphError;
use crate::odata::Query;

/// Where the next page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    Start,
    /// After this id, in id order: stable while objects come and go.
    After(Uuid),
    /// After this text key.
    AfterKey(String),
    /// At this position of a sorted result.
    Offset(usize),
}

impl Cursor {
    pub(crate) fn of(query: &Query) -> Result<Self, GraphError> {
        match &query.skip_token {
            None => Ok(Self::Start),
            Some(token) => Self::decode(token).ok_or_else(|| {
                GraphError::bad(
                    "Directory_ExpiredPageToken",
                    "The specified page token value has expired and can no longer be included in \
                     your request.",
                )
            }),
        }
    }

    fn decode(token: &str) -> Option<Self> {
        let text = token.strip_prefix("RFNwdAIAAQ")?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "i" => Uuid::parse_str(rest).ok().map(Self::After),
            "k" => Some(Self::AfterKey(rest.to_owned())),
            "o" => rest.parse().ok().map(Self::Offset),
            _ => None,
        }
    }

    fn encode(&self) -> String {
        let text = match self {
            Self::Start => "o:0".to_owned(),
            Self::After(id) => format!("i:{id}"),
            Self::AfterKey(key) => format!("k:{key}"),
            Self::Offset(at) => format!("o:{at}"),
        };
        format!("RFNwdAIAAQ{}", URL_SAFE_NO_PAD.encode(text))
    }

    pub(crate) fn id(&self) -> Option<Uuid> {
        match self {
            Self::After(id) => Some(*id),
            _ => None,
        }
    }

    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::AfterKey(key) => Some(key),
            _ => None,
        }
    }

    pub(crate) fn offset(&self) -> usize {
        match self {
            Self::Offset(at) => *at,
            _ => 0,
        }
    }
}

/// The link to the next page: the request's own options plus the token.
pub(crate) fn next(call: &Call, query: &Query, cursor: &Cursor) -> String {
    let mut rest = query.rest.clone();
    rest.push(("$skiptoken".to_owned(), cursor.encode()));
    with_options(&format!("{}/v1.0{}", call.base, call.path), &rest)
}

/// A URL with query options, `$` left readable as the service leaves it.
pub(crate) fn with_options(url: &str, options: &[(String, String)]) -> String {
    let mut link = url.to_owned();
    for (at, (name, value)) in options.iter().enumerate() {
        link.push(if at == 0 { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z'
                | b'a'..=b'z'
                | b'0'..=b'9'
                | b'-'
                | b'_'
                | b'.'
                | b'~'
                | b'$'
                | b'('
                | b')'
                | b','
                | b'\''
                | b'/'
                | b':' => link.push(char::from(byte)),
                other => link.push_str(&format!("%{other:02X}")),
            }
        }
    }
    link
}

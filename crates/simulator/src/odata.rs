//! OData system query options as the emulated service understands them.
//!
//! Parsing only: nothing here reads the directory. Unknown options are ignored, as the real
//! service ignores them; malformed ones are errors.

pub(crate) mod filter;

use crate::http::reply::GraphError;
use filter::Filter;

/// One `$expand` item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expand {
    pub name: String,
    pub select: Option<Vec<String>>,
}

/// The options of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub select: Option<Vec<String>>,
    pub top: Option<usize>,
    pub filter: Option<Filter>,
    pub filter_text: Option<String>,
    pub expand: Vec<Expand>,
    pub order_by: Option<String>,
    pub count: bool,
    pub skip_token: Option<String>,
    pub delta_token: Option<String>,
    /// Everything but the skip token, to build the next link from.
    pub rest: Vec<(String, String)>,
}

impl Query {
    /// # Errors
    /// 400 when an option cannot be understood.
    pub(crate) fn parse(raw: &str) -> Result<Self, GraphError> {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            let (name, value) = (name.into_owned(), value.into_owned());
            match name.trim_start_matches('$').to_lowercase().as_str() {
                "select" => query.select = Some(names(&value)),
                "top" => query.top = Some(top(&value)?),
                "filter" => {
                    query.filter = Some(Filter::parse(&value).map_err(|reason| {
                        GraphError::bad("BadRequest", format!("Invalid filter clause: {reason}"))
                    })?);
                    query.filter_text = Some(value.clone());
                }
                "expand" => query.expand = expands(&value)?,
                "orderby" => query.order_by = Some(value.clone()),
                "count" => query.count = value.eq_ignore_ascii_case("true"),
                "skiptoken" => {
                    query.skip_token = Some(value);
                    continue;
                }
                "deltatoken" => {
                    query.delta_token = Some(value);
                    continue;
                }
                "search" => {
                    return Err(GraphError::bad(
                        "Request_UnsupportedQuery",
                        "Search is not emulated.",
                    ));
                }
                _ => {}
            }
            query.rest.push((name, value));
        }
        Ok(query)
    }

    /// The page size to serve.
    pub(crate) fn page_size(&self) -> usize {
        self.top.unwrap_or(DEFAULT_PAGE)
    }
}

const DEFAULT_PAGE: usize = 100;
pub(crate) const LARGEST_PAGE: usize = 999;

fn top(value: &str) -> Result<usize, GraphError> {
    match value.parse::<usize>() {
        Ok(top @ 1..=LARGEST_PAGE) => Ok(top),
        _ => Err(GraphError::bad(
            "Request_UnsupportedQuery",
            format!("Invalid page size specified: '{value}'. Must be between 1 and 999 inclusive."),
        )),
    }
}

fn names(value: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if !names.iter().any(|held| held == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn expands(value: &str) -> Result<Vec<Expand>, GraphError> {
    let mut items = Vec::new();
    for part in split_top_level(value) {
        let (name, inner) = match part.split_once('(') {
            Some((name, inner)) => (
                name,
                inner.strip_suffix(')').ok_or_else(|| {
                    GraphError::bad("BadRequest", "Parsing OData Select and Expand failed.")
                })?,
            ),
            None => (part, ""),
        };
        let select = inner
            .split(';')
            .find_map(|option| {
                option
                    .trim()
                    .trim_start_matches('$')
                    .strip_prefix("select=")
            })
            .map(names);
        items.push(Expand {
            name: name.trim().to_owned(),
            select,
        });
    }
    Ok(items)
}

/// How many items an `$expand` names.
pub(crate) fn top_level_parts(value: &str) -> usize {
    split_top_level(value).len()
}

fn split_top_level(value: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, c) in value.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts
}

/// Decodes `%XX` in a path segment.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Splits a path into segments, giving casts their full namespace and turning `users('x')` into `users`, `x` and
/// `applications(appId='x')` into `applications`, `(appId=x)`.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let mut out = Vec::new();
    for raw in path.split('/').filter(|raw| !raw.is_empty()) {
        let decoded = percent_decode(raw);
        let keyed = decoded
            .strip_suffix(')')
            .and_then(|rest| rest.split_once('('))
            .filter(|(name, _)| !name.is_empty());
        match keyed {
            Some((name, key)) => {
                out.push(name.to_owned());
                match key.split_once('=') {
                    Some((property, value)) if !property.starts_with('\'') => {
                        out.push(format!("({property}={})", unquote(value)));
                    }
                    _ if key.is_empty() => {}
                    _ => out.push(unquote(key)),
                }
            }
            None => out.push(cast(decoded)),
        }
    }
    out
}

/// A type cast with its namespace in full: `graph` is the schema's own alias, and SDKs use it.
fn cast(segment: String) -> String {
    match segment.strip_prefix("graph.") {
        Some(name) if name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            format!("microsoft.graph.{name}")
        }
        _ => segment,
    }
}

fn unquote(text: &str) -> String {
    text.strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or(text)
        .replace("''", "'")
}

//! What the query of an address asks for.

use axum::extract::FromRequestParts;
use http::request::Parts;
use std::convert::Infallible;
use url::form_urlencoded;

/// The fields of a query, which may come more than once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(Vec<(String, String)>);

impl Asked {
    /// Reads a query.
    pub(crate) fn read(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// A field without the white space around it; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values(name).next().unwrap_or_default()
    }

    /// Every value of a field that is not empty.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let given = self.values(name).filter(|value| !value.is_empty());
        given.map(str::to_owned).collect()
    }

    /// Whether a field is there.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.trim())
    }
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

/// What stands in a field of many lines, each on its own: ids and the like, parted by
/// white space, commas or semicolons.
pub(crate) fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
    let given = parts.filter(|part| !part.is_empty());
    given.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_may_come_more_than_once() {
        let asked = Asked::read("id=a&id=%20b%20&id=&text=a%26b+c&flag");
        assert_eq!(asked.all("id"), ["a", "b"]);
        assert_eq!((asked.text("text"), asked.text("none")), ("a&b c", ""));
        assert!(asked.is_set("flag") && !asked.is_set("none"));
    }

    #[test]
    fn ids_are_parted_by_whatever_stands_between() {
        assert_eq!(words(" a\r\nb,c ;\td\n"), ["a", "b", "c", "d"]);
        assert!(words(" \n").is_empty());
    }
}

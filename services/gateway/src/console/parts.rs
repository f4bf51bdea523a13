//! Parts that many pages have.
//!
//! Owns badges, the way through pages of a list, and query strings. A part is a value
//! that a template shows with `{{ part }}`; what is inside is escaped already.

use askama::Template;
use askama::filters::HtmlSafe;
use url::form_urlencoded::Serializer;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// Going on.
    Busy,
    /// None of these.
    Plain,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Busy => "busy",
            Self::Plain => "plain",
        }
    }

    /// What tells it from the others without colour.
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warn => "!",
            Self::Bad => "✕",
            Self::Busy => "…",
            Self::Plain => "",
        }
    }
}

/// A word with a colour and a sign.
#[derive(Debug, Clone, Template)]
#[template(
    source = r#"<span class="badge {{ tone.class() }}">{% if !tone.sign().is_empty() %}<span class="sign" aria-hidden="true">{{ tone.sign() }}</span>{% endif %}{{ text }}</span>"#,
    ext = "html"
)]
pub(crate) struct Badge {
    tone: Tone,
    text: String,
}

impl HtmlSafe for Badge {}

impl Badge {
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { tone, text }
    }

    /// Its tone, to sort or count by.
    pub(crate) fn tone(&self) -> Tone {
        self.tone
    }
}

/// The way to the other pages of a list.
#[derive(Debug, Clone, Template)]
#[template(
    source = r#"{% if first.is_some() || next.is_some() %}<nav class="pager" aria-label="Pages of the list">{% if let Some(first) = first %}<a href="{{ first }}">First page</a>{% endif %}{% if let Some(next) = next %}<a href="{{ next }}" rel="next">Next page</a>{% endif %}</nav>{% endif %}"#,
    ext = "html"
)]
pub(crate) struct Pager {
    first: Option<String>,
    next: Option<String>,
}

impl HtmlSafe for Pager {}

impl Pager {
    /// `query` is what else stands in the address; `token` the page that is shown, empty
    /// for the first; `next` what the answer says, empty on the last.
    pub(crate) fn new(path: &str, query: &[(&str, &str)], token: &str, next: &str) -> Self {
        let page = |token: &str| {
            let with: Vec<_> = query
                .iter()
                .copied()
                .chain([("page_token", token)])
                .collect();
            address(path, &with)
        };
        Self {
            first: (!token.is_empty()).then(|| page("")),
            next: (!next.is_empty()).then(|| page(next)),
        }
    }
}

impl Pager {
    /// Of one of several lists on a page: `key` is both what its token is called in the
    /// address and the id of its heading.
    pub(crate) fn named(path: &str, key: &str, token: &str, next: &str) -> Self {
        let page = |token: &str| format!("{}#{key}", address(path, &[(key, token)]));
        Self {
            first: (!token.is_empty()).then(|| page("")),
            next: (!next.is_empty()).then(|| page(next)),
        }
    }
}

/// A path with those parts of a query that are not empty.
pub(crate) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        pairs.append_pair(name, value);
    }
    match pairs.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pager_keeps_what_else_is_asked_for() {
        let render =
            |token, next| Pager::new("/x", &[("q", "a&b"), ("t", "")], token, next).to_string();
        assert_eq!(render("", ""), "");
        let first = render("", "n=1");
        assert!(
            first.contains(r#"href="/x?q=a%26b&#38;page_token=n%3D1""#),
            "{first}"
        );
        assert!(!first.contains("First page"));
        let last = render("n", "");
        assert!(
            last.contains(r#"href="/x?q=a%26b""#) && !last.contains("Next page"),
            "{last}"
        );
    }

    #[test]
    fn a_badge_says_how_it_stands_without_colour_too() {
        let text = Badge::new(Tone::Bad, "<b>").to_string();
        assert!(text.contains("badge bad") && text.contains("✕") && text.contains("&#60;b&#62;"));
    }
}

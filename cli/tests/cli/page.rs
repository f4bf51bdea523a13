//! A page as a browser reads it.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// Elements that hold nothing.
const VOID: [&str; 4] = ["col", "meta", "wbr", "br"];

/// Elements that stand in a line with the text around them.
const INLINE: [&str; 9] = [
    "a", "b", "bdi", "code", "del", "ins", "small", "span", "wbr",
];

/// An element's start.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// The elements that it lies in, from the outermost on.
    pub(crate) within: Vec<String>,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) elements: Vec<Element>,
    /// All that a person reads.
    pub(crate) text: String,
    /// What is in style sheets.
    pub(crate) style: String,
    open: Vec<String>,
    problems: Vec<String>,
}

impl Page {
    /// Reads a page, which must not have a single fault.
    #[track_caller]
    pub(crate) fn read(html: &str) -> Self {
        let input = BufferQueue::default();
        input.push_back(StrTendril::from(html));
        let options = TokenizerOpts {
            exact_errors: true,
            ..Default::default()
        };
        let tokenizer = Tokenizer::new(Sink::default(), options);
        let _ = tokenizer.feed(&input);
        tokenizer.end();
        let page = tokenizer.sink.0.into_inner();
        assert_eq!(page.problems, Vec::<String>::new());
        assert_eq!(page.open, Vec::<String>::new(), "not closed");
        page
    }

    /// The elements of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<&Element> {
        let elements = self.elements.iter();
        elements.filter(|element| element.name == name).collect()
    }
}

#[derive(Default)]
struct Sink(RefCell<Page>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => {
                let name = tag.name.to_string();
                if !INLINE.contains(&name.as_str()) {
                    page.text.push(' ');
                }
                if tag.kind == TagKind::EndTag {
                    let closed = page.open.pop();
                    if closed.as_ref() != Some(&name) {
                        let problem = format!("line {line}: {name} ends {closed:?}");
                        page.problems.push(problem);
                    }
                    return TokenSinkResult::Continue;
                }
                let attributes = tag.attrs.iter();
                let element = Element {
                    name: name.clone(),
                    attributes: attributes
                        .map(|it| (it.name.local.to_string(), it.value.to_string()))
                        .collect(),
                    within: page.open.clone(),
                };
                page.elements.push(element);
                if !VOID.contains(&name.as_str()) {
                    page.open.push(name.clone());
                }
                // What the rest of a browser tells its tokenizer.
                match name.as_str() {
                    "style" => TokenSinkResult::RawData(RawKind::Rawtext),
                    "title" => TokenSinkResult::RawData(RawKind::Rcdata),
                    _ => TokenSinkResult::Continue,
                }
            }
            Token::CharacterTokens(text) => {
                if page.open.last().is_some_and(|name| name == "style") {
                    page.style.push_str(&text);
                } else {
                    page.text.push_str(&text);
                }
                TokenSinkResult::Continue
            }
            Token::NullCharacterToken => {
                page.problems.push(format!("line {line}: a null"));
                TokenSinkResult::Continue
            }
            Token::ParseError(problem) => {
                page.problems.push(format!("line {line}: {problem}"));
                TokenSinkResult::Continue
            }
            Token::CommentToken(text) => {
                page.problems.push(format!("line {line}: comment {text}"));
                TokenSinkResult::Continue
            }
            Token::DoctypeToken(_) | Token::EOFToken => TokenSinkResult::Continue,
        }
    }
}

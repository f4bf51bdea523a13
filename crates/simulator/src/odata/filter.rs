//! `$filter`: a small recursive-descent parser and its evaluation on JSON values.
//!
//! Comparison of text ignores case, as the directory does. Dates are compared as instants.

use std::cmp::Ordering;

use chrono::DateTime;
use serde_json::Value;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(Operator, String, Value),
    In(String, Vec<Value>),
    StartsWith(String, String),
    EndsWith(String, String),
    Contains(String, String),
    /// `path/any(v: …)`; the inner paths begin with the variable. `None` asks "is not empty".
    Any(String, Option<(String, Box<Filter>)>),
    IsOf(String),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Ge,
    Gt,
    Le,
    Lt,
}

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
        };
        let filter = parser.or()?;
        match parser.peek() {
            None => Ok(filter),
            Some(token) => Err(format!("unexpected '{token:?}'")),
        }
    }

    /// Whether an object, seen through `get` (path → value), passes.
    pub(crate) fn matches(&self, get: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Self::And(left, right) => left.matches(get) && right.matches(get),
            Self::Or(left, right) => left.matches(get) || right.matches(get),
            Self::Not(inner) => !inner.matches(get),
            Self::Compare(operator, path, literal) => operator.holds(&get(path), literal),
            Self::In(path, literals) => {
                let value = get(path);
                literals
                    .iter()
                    .any(|literal| Operator::Eq.holds(&value, literal))
            }
            Self::StartsWith(path, text) => lower(&get(path)).starts_with(&text.to_lowercase()),
            Self::EndsWith(path, text) => lower(&get(path)).ends_with(&text.to_lowercase()),
            Self::Contains(path, text) => lower(&get(path)).contains(&text.to_lowercase()),
            Self::IsOf(name) => lower(&get("@odata.type")).ends_with(&name.to_lowercase()),
            Self::Any(path, inner) => {
                let items = get(path);
                let items = items.as_array().map_or(&[][..], Vec::as_slice);
                match inner {
                    None => !items.is_empty(),
                    Some((variable, inner)) => items.iter().any(|item| {
                        inner.matches(&|path: &str| match path.strip_prefix(variable.as_str()) {
                            Some("") => item.clone(),
                            Some(rest) => dig(item, rest.trim_start_matches('/')),
                            None => get(path),
                        })
                    }),
                }
            }
        }
    }

    /// Whether the directory serves this only as an advanced query.
    pub(crate) fn is_advanced(&self) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.is_advanced() || right.is_advanced()
            }
            Self::Not(_) | Self::EndsWith(..) | Self::Contains(..) => true,
            Self::Compare(operator, ..) => *operator == Operator::Ne,
            Self::Any(_, inner) => inner.as_ref().is_some_and(|(_, inner)| inner.is_advanced()),
            _ => false,
        }
    }

    /// The ids named by `id eq 'a' or id eq 'b' …`, the only filter that delta accepts.
    pub(crate) fn ids(&self) -> Option<Vec<String>> {
        match self {
            Self::Compare(Operator::Eq, path, Value::String(id)) if path == "id" => {
                Some(vec![id.clone()])
            }
            Self::In(path, ids) if path == "id" => ids
                .iter()
                .map(|id| id.as_str().map(str::to_owned))
                .collect(),
            Self::Or(left, right) => {
                let mut ids = left.ids()?;
                ids.extend(right.ids()?);
                Some(ids)
            }
            _ => None,
        }
    }
}

impl Operator {
    fn holds(self, value: &Value, literal: &Value) -> bool {
        match self {
            Self::Eq => equal(value, literal),
            Self::Ne => !equal(value, literal),
            _ => match order(value, literal) {
                Some(Ordering::Equal) => matches!(self, Self::Ge | Self::Le),
                Some(Ordering::Greater) => matches!(self, Self::Ge | Self::Gt),
                Some(Ordering::Less) => matches!(self, Self::Le | Self::Lt),
                None => false,
            },
        }
    }
}

fn equal(value: &Value, literal: &Value) -> bool {
    match (value, literal) {
        (Value::String(a), Value::String(b)) => {
            a.to_lowercase() == b.to_lowercase() || order(value, literal) == Some(Ordering::Equal)
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => value == literal,
    }
}

fn order(value: &Value, literal: &Value) -> Option<Ordering> {
    match (value, literal) {
        (Value::String(a), Value::String(b)) => {
            match (
                DateTime::parse_from_rfc3339(a),
                DateTime::parse_from_rfc3339(b),
            ) {
                (Ok(a), Ok(b)) => Some(a.cmp(&b)),
                _ => Some(a.to_lowercase().cmp(&b.to_lowercase())),
            }
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        _ => None,
    }
}

fn lower(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_lowercase()
}

/// Follows `a/b` into nested objects.
pub(crate) fn dig(value: &Value, path: &str) -> Value {
    path.split('/')
        .try_fold(value, |value, name| value.get(name))
        .cloned()
        .unwrap_or_default()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        match c {
            c if c.is_whitespace() => {
                chars.next();
            }
            '(' | ')' | ',' => {
                chars.next();
                tokens.push(match c {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Comma,
                });
            }
            '\'' => {
                chars.next();
                let mut literal = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            literal.push('\'');
                        }
                        Some('\'') => break,
                        Some(c) => literal.push(c),
                        None => return Err("unterminated string literal".into()),
                    }
                }
                tokens.push(Token::Text(literal));
            }
            ':' => {
                chars.next();
                tokens.push(Token::Colon);
            }
            _ => {
                let mut word = String::new();
                while let Some(&c) = chars.peek() {
                    let ends_variable = c == ':' && !word.starts_with(|c: char| c.is_ascii_digit());
                    if c.is_whitespace() || matches!(c, '(' | ')' | ',' | '\'') || ends_variable {
                        break;
                    }
                    word.push(c);
                    chars.next();
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn expect(&mut self, token: &Token) -> Result<(), String> {
        match self.next() {
            Some(found) if found == *token => Ok(()),
            found => Err(format!("expected {token:?}, found {found:?}")),
        }
    }

    fn word_is(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn or(&mut self) -> Result<Filter, String> {
        let mut left = self.and()?;
        while self.word_is("or") {
            self.at += 1;
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, String> {
        let mut left = self.unary()?;
        while self.word_is("and") {
            self.at += 1;
            left = Filter::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Filter, String> {
        if self.word_is("not") {
            self.at += 1;
            return Ok(Filter::Not(Box::new(self.unary()?)));
        }
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            let inner = self.or()?;
            self.expect(&Token::Close)?;
            return Ok(inner);
        }
        let Some(Token::Word(word)) = self.next() else {
            return Err("expected a property or function".into());
        };
        if self.peek() == Some(&Token::Open) {
            return self.function(&word);
        }
        self.comparison(word)
    }

    fn function(&mut self, name: &str) -> Result<Filter, String> {
        self.expect(&Token::Open)?;
        if let Some(path) = name
            .strip_suffix("/any")
            .or_else(|| name.strip_suffix("/Any"))
        {
            if self.peek() == Some(&Token::Close) {
                self.at += 1;
                return Ok(Filter::Any(path.to_owned(), None));
            }
            let Some(Token::Word(variable)) = self.next() else {
                return Err("expected a range variable".into());
            };
            self.expect(&Token::Colon)?;
            let inner = self.or()?;
            self.expect(&Token::Close)?;
            return Ok(Filter::Any(
                path.to_owned(),
                Some((variable, Box::new(inner))),
            ));
        }
        if name.eq_ignore_ascii_case("isof") {
            let Some(Token::Text(type_name)) = self.next() else {
                return Err("expected a type name".into());
            };
            self.expect(&Token::Close)?;
            return Ok(Filter::IsOf(type_name));
        }
        let Some(Token::Word(path)) = self.next() else {
            return Err("expected a property".into());
        };
        self.expect(&Token::Comma)?;
        let Some(Token::Text(text)) = self.next() else {
            return Err("expected a string".into());
        };
        self.expect(&Token::Close)?;
        match name.to_lowercase().as_str() {
            "startswith" => Ok(Filter::StartsWith(path, text)),
            "endswith" => Ok(Filter::EndsWith(path, text)),
            "contains" => Ok(Filter::Contains(path, text)),
            _ => Err(format!("unknown function '{name}'")),
        }
    }

    fn comparison(&mut self, path: String) -> Result<Filter, String> {
        let Some(Token::Word(operator)) = self.next() else {
            return Err(format!("expected an operator after '{path}'"));
        };
        let operator = match operator.to_lowercase().as_str() {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "ge" => Operator::Ge,
            "gt" => Operator::Gt,
            "le" => Operator::Le,
            "lt" => Operator::Lt,
            "in" => {
                self.expect(&Token::Open)?;
                let mut literals = vec![self.literal()?];
                while self.peek() == Some(&Token::Comma) {
                    self.at += 1;
                    literals.push(self.literal()?);
                }
                self.expect(&Token::Close)?;
                return Ok(Filter::In(path, literals));
            }
            other => return Err(format!("unknown operator '{other}'")),
        };
        Ok(Filter::Compare(operator, path, self.literal()?))
    }

    fn literal(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Value::String(text)),
            Some(Token::Word(word)) => Ok(match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                // Bare GUIDs and dates are text here.
                other => other
                    .parse::<i64>()
                    .map_or_else(|_| Value::String(word.clone()), Value::from),
            }),
            other => Err(format!("expected a literal, found {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests;

//! The language of `$filter`, as far as this API answers it.
//!
//! Owns its reading and its meaning over a resource in JSON: `eq`, `ne`, `gt`, `ge`,
//! `lt`, `le`, `in`, `startswith`, `isof`, `and`, `or`, `not` and parentheses. Texts are
//! compared without regard to case, as Graph's directory does. A property that the
//! resource does not have is an error, so that a slip of the pen is no empty answer.

use std::cmp::Ordering;

use chrono::DateTime;
use serde_json::{Map, Value};

/// The longest filter, in bytes.
const LONGEST: usize = 4096;
/// How deep parentheses may lie in one another.
const DEEPEST: usize = 16;

/// What a row must be like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    Compare(String, Comparison, Value),
    OneOf(String, Vec<Value>),
    StartsWith(String, String),
    IsOf(String),
    Not(Box<Filter>),
    All(Vec<Filter>),
    Any(Vec<Filter>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Comparison {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            _ => return None,
        })
    }

    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = compare(left, right);
        match self {
            Self::Eq => order == Some(Ordering::Equal),
            Self::Ne => order != Some(Ordering::Equal),
            Self::Gt => order == Some(Ordering::Greater),
            Self::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Lt => order == Some(Ordering::Less),
            Self::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }
}

/// The order of two values; `None` where they have none.
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => {
            let times = (
                DateTime::parse_from_rfc3339(left),
                DateTime::parse_from_rfc3339(right),
            );
            Some(match times {
                (Ok(left), Ok(right)) => left.cmp(&right),
                _ => left.to_lowercase().cmp(&right.to_lowercase()),
            })
        }
        _ => None,
    }
}

impl Filter {
    /// Reads a filter over rows with these properties.
    ///
    /// # Errors
    /// In a sentence, what is wrong with it.
    pub(super) fn read(text: &str, properties: &[&str]) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("$filter: at most {LONGEST} characters are taken"));
        }
        let mut reader = Reader {
            words: words(text)?,
            at: 0,
            depth: 0,
            properties,
        };
        let filter = reader.any()?;
        match reader.next() {
            None => Ok(filter),
            Some(word) => Err(format!("$filter: {word} is not expected there")),
        }
    }

    /// Whether a row is wanted.
    pub(super) fn holds(&self, row: &Map<String, Value>) -> bool {
        let value = |name: &str| row.get(name).unwrap_or(&Value::Null);
        match self {
            Self::Compare(name, how, literal) => how.holds(value(name), literal),
            Self::OneOf(name, literals) => {
                let mut literals = literals.iter();
                literals.any(|literal| Comparison::Eq.holds(value(name), literal))
            }
            Self::StartsWith(name, start) => {
                let text = value(name).as_str().map(str::to_lowercase);
                text.is_some_and(|text| text.starts_with(&start.to_lowercase()))
            }
            Self::IsOf(name) => {
                let own = value("@odata.type").as_str().unwrap_or_default();
                own.trim_start_matches('#') == name.trim_start_matches('#')
            }
            Self::Not(inner) => !inner.holds(row),
            Self::All(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row)),
        }
    }
}

/// What a filter is made of.
#[derive(Debug, Clone, PartialEq)]
enum Word {
    Open,
    Close,
    Comma,
    /// A property, a function or an operator.
    Name(String),
    Literal(Value),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
            Self::Comma => f.write_str(","),
            Self::Name(name) => f.write_str(name),
            Self::Literal(value) => write!(f, "{value}"),
        }
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            ' ' | '\t' => rest = &rest[1..],
            '(' => {
                words.push(Word::Open);
                rest = &rest[1..];
            }
            ')' => {
                words.push(Word::Close);
                rest = &rest[1..];
            }
            ',' => {
                words.push(Word::Comma);
                rest = &rest[1..];
            }
            '\'' => {
                let (text, after) = quoted(&rest[1..])?;
                words.push(Word::Literal(Value::String(text)));
                rest = after;
            }
            _ => {
                let end = rest
                    .find(|c: char| " \t(),'".contains(c))
                    .unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                rest = after;
                // An enumeration's value may be written `namespace.type'value'`.
                if rest.starts_with('\'') {
                    continue;
                }
                words.push(plain(word));
            }
        }
    }
    Ok(words)
}

/// The text up to the closing quote, and what follows it; two quotes are one within.
fn quoted(mut rest: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    loop {
        let end = rest
            .find('\'')
            .ok_or("$filter: a text does not end with a quote")?;
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => return Ok((text, rest)),
        }
    }
}

fn plain(word: &str) -> Word {
    let literal = match word {
        "null" => Some(Value::Null),
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    };
    let number = || word.parse::<i64>().ok().map(Value::from);
    let time = || {
        DateTime::parse_from_rfc3339(word)
            .ok()
            .map(|_| Value::from(word))
    };
    match literal.or_else(number).or_else(time) {
        Some(literal) => Word::Literal(literal),
        None => Word::Name(word.to_owned()),
    }
}

struct Reader<'a> {
    words: Vec<Word>,
    at: usize,
    depth: usize,
    properties: &'a [&'a str],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    /// Whether the next word is this one, which is then passed.
    fn takes(&mut self, name: &str) -> bool {
        let is = matches!(self.words.get(self.at), Some(Word::Name(word)) if word == name);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, expected: &Word) -> Result<(), String> {
        match self.next() {
            Some(word) if word == *expected => Ok(()),
            Some(word) => Err(format!(
                "$filter: {expected} is expected in place of {word}"
            )),
            None => Err(format!("$filter: {expected} is missing at the end")),
        }
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.takes("or") {
            parts.push(self.all()?);
        }
        Ok(alone_or(parts, Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.one()?];
        while self.takes("and") {
            parts.push(self.one()?);
        }
        Ok(alone_or(parts, Filter::All))
    }

    fn one(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!(
                "$filter: nothing may lie deeper than {DEEPEST} levels"
            ));
        }
        let read = self.inner();
        self.depth -= 1;
        read
    }

    fn inner(&mut self) -> Result<Filter, String> {
        match self.next() {
            Some(Word::Open) => {
                let inner = self.any()?;
                self.expect(&Word::Close)?;
                Ok(inner)
            }
            Some(Word::Name(name)) => match name.as_str() {
                "not" => Ok(Filter::Not(Box::new(self.one()?))),
                "startswith" => {
                    self.expect(&Word::Open)?;
                    let property = self.property()?;
                    self.expect(&Word::Comma)?;
                    let start = self.text()?;
                    self.expect(&Word::Close)?;
                    Ok(Filter::StartsWith(property, start))
                }
                "isof" => {
                    self.expect(&Word::Open)?;
                    let name = self.text()?;
                    self.expect(&Word::Close)?;
                    Ok(Filter::IsOf(name))
                }
                _ => self.comparison(&name),
            },
            Some(word) => Err(format!(
                "$filter: a property is expected in place of {word}"
            )),
            None => Err("$filter: a property is missing at the end".to_owned()),
        }
    }

    fn comparison(&mut self, name: &str) -> Result<Filter, String> {
        let property = self.known(name)?;
        let operator = match self.next() {
            Some(Word::Name(word)) => word,
            _ => return Err(format!("$filter: an operator is expected after {name}")),
        };
        if operator == "in" {
            self.expect(&Word::Open)?;
            let mut literals = vec![self.literal()?];
            while self.words.get(self.at) == Some(&Word::Comma) {
                self.at += 1;
                literals.push(self.literal()?);
            }
            self.expect(&Word::Close)?;
            return Ok(Filter::OneOf(property, literals));
        }
        let how = Comparison::read(&operator)
            .ok_or_else(|| format!("$filter: {operator} is no operator that is known here"))?;
        Ok(Filter::Compare(property, how, self.literal()?))
    }

    fn property(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Word::Name(name)) => self.known(&name),
            _ => Err("$filter: a property is expected".to_owned()),
        }
    }

    fn known(&self, name: &str) -> Result<String, String> {
        if self.properties.contains(&name) {
            return Ok(name.to_owned());
        }
        Err(format!("$filter: there is no property {name:?}"))
    }

    fn text(&mut self) -> Result<String, String> {
        match self.literal()? {
            Value::String(text) => Ok(text),
            other => Err(format!("$filter: a text is expected in place of {other}")),
        }
    }

    fn literal(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(Word::Literal(value)) => Ok(value),
            Some(word) => Err(format!("$filter: a value is expected in place of {word}")),
            None => Err("$filter: a value is missing at the end".to_owned()),
        }
    }
}

fn alone_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PROPERTIES: [&str; 5] = ["id", "status", "targetStateDateTime", "total", "done"];

    fn row() -> Map<String, Value> {
        let row = json!({
            "@odata.type": "#microsoft.graph.entraRecoveryServices.recoveryJob",
            "id": "A-1",
            "status": "running",
            "targetStateDateTime": "2024-08-26T02:30:00Z",
            "total": 12,
            "done": null,
        });
        row.as_object().expect("an object").clone()
    }

    #[test]
    fn rows_are_chosen() {
        for (filter, expected) in [
            ("status eq 'running'", true),
            ("status eq 'Running'", true),
            ("status ne 'running'", false),
            (
                "microsoft.graph.entraRecoveryServices.recoveryStatus'running' eq 'x'",
                false,
            ),
            (
                "status eq microsoft.graph.entraRecoveryServices.recoveryStatus'running'",
                true,
            ),
            ("status in ('failed', 'running')", true),
            ("status in ('failed')", false),
            ("id eq 'a-1' and total gt 11", true),
            ("id eq 'a-1' and total gt 12", false),
            ("total le 12 and total ge 12 and not (total lt 12)", true),
            ("id eq 'x' or status eq 'running' and total eq 12", true),
            ("(id eq 'x' or status eq 'running') and total eq 13", false),
            ("targetStateDateTime eq 2024-08-26T02:30:00Z", true),
            ("targetStateDateTime eq 2024-08-26T04:30:00+02:00", true),
            ("targetStateDateTime gt 2024-08-26T02:30:00.5Z", false),
            ("done eq null", true),
            ("done ne null", false),
            ("total eq null", false),
            ("startswith(id, 'a')", true),
            ("startswith(done,'a')", false),
            (
                "isof('microsoft.graph.entraRecoveryServices.recoveryJob')",
                true,
            ),
            (
                "isof('microsoft.graph.entraRecoveryServices.recoveryPreviewJob')",
                false,
            ),
            ("id eq 'it''s'", false),
            ("total eq '12'", false),
        ] {
            match Filter::read(filter, &PROPERTIES) {
                Ok(read) => assert_eq!(read.holds(&row()), expected, "{filter}"),
                // The one that compares no property.
                Err(error) => assert!(filter.starts_with("microsoft"), "{filter}: {error}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let deep = "(".repeat(20);
        let long = format!("id eq '{}'", "x".repeat(LONGEST));
        for (filter, error) in [
            ("", "$filter: a property is missing at the end"),
            ("name eq 'x'", "$filter: there is no property \"name\""),
            ("id eq", "$filter: a value is missing at the end"),
            ("id eq x", "$filter: a value is expected in place of x"),
            ("id is 'x'", "$filter: is is no operator that is known here"),
            ("id", "$filter: an operator is expected after id"),
            ("id eq 'x", "$filter: a text does not end with a quote"),
            ("(id eq 'x'", "$filter: ) is missing at the end"),
            ("id eq 'x')", "$filter: ) is not expected there"),
            ("id eq 'x' and", "$filter: a property is missing at the end"),
            ("startswith(id)", "$filter: , is expected in place of )"),
            (
                "startswith(id, 1)",
                "$filter: a text is expected in place of 1",
            ),
            (
                deep.as_str(),
                "$filter: nothing may lie deeper than 16 levels",
            ),
            (long.as_str(), "$filter: at most 4096 characters are taken"),
        ] {
            assert_eq!(
                Filter::read(filter, &PROPERTIES),
                Err(error.to_owned()),
                "{filter}"
            );
        }
    }
}

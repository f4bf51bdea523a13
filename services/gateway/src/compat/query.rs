//! The options of a query.
//!
//! Owns which of them each resource takes, and their meaning over rows in JSON. An
//! option that is not taken is refused, since a filter that is not heard would answer
//! something else than was asked for. What does not begin like one of OData's is not
//! heard, as Graph does.

use std::cmp::Ordering;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::errors::Refusal;
use super::filter::{Filter, compare};

/// A resource as it is answered.
pub(super) type Row = Map<String, Value>;

/// The page where the client names no size.
const DEFAULT_TOP: usize = 100;
/// The largest page.
const MAX_TOP: usize = 999;

/// The options that OData knows. `$` may be left out, as with Graph.
const KNOWN: [&str; 10] = [
    "count",
    "expand",
    "filter",
    "format",
    "orderby",
    "search",
    "select",
    "skip",
    "skiptoken",
    "top",
];

/// What a resource takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    /// The options, without `$`.
    pub(super) options: &'static [&'static str],
    /// Its properties.
    pub(super) properties: &'static [&'static str],
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) top: usize,
    pub(super) skip: usize,
    /// Where the last page ended, as an earlier answer said.
    pub(super) after: Option<String>,
    pub(super) count: bool,
    pub(super) filter: Option<Filter>,
    select: Vec<String>,
    orderby: Vec<(String, Sorting)>,
    /// The options as they came, but for those that say where a page begins.
    given: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sorting {
    Ascending,
    Descending,
}

impl Query {
    /// Reads the options of a resource.
    ///
    /// # Errors
    /// [`Refusal`] where one is not taken or cannot be read.
    pub(super) fn read(text: Option<&str>, takes: Takes) -> Result<Self, Refusal> {
        let mut query = Self {
            top: DEFAULT_TOP,
            skip: 0,
            after: None,
            count: false,
            filter: None,
            select: Vec::new(),
            orderby: Vec::new(),
            given: Vec::new(),
        };
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            let bare = name.strip_prefix('$').unwrap_or(&name).to_ascii_lowercase();
            let Some(known) = KNOWN.into_iter().find(|known| *known == bare) else {
                if name.starts_with('$') {
                    return Err(Refusal::bad(format!("there is no query option {name}")));
                }
                continue;
            };
            if !takes.options.contains(&known) {
                return Err(Refusal::bad(format!("${known} is not supported here")));
            }
            if seen.contains(&known) {
                return Err(Refusal::bad(format!("${known} is given twice")));
            }
            seen.push(known);
            query.set(known, &value, takes.properties)?;
            if !matches!(known, "skip" | "skiptoken") {
                query.given.push((format!("${known}"), value.into_owned()));
            }
        }
        Ok(query)
    }

    fn set(&mut self, name: &str, value: &str, properties: &[&str]) -> Result<(), Refusal> {
        match name {
            "top" => {
                let top = value.parse().ok().filter(|top| (1..=MAX_TOP).contains(top));
                let problem = format!("$top: a number from 1 to {MAX_TOP} is expected");
                self.top = top.ok_or_else(|| Refusal::bad(problem))?;
            }
            "skip" => {
                let problem = "$skip: a number from 0 on is expected";
                let skip: Result<u32, _> = value.parse();
                self.skip = skip.map_err(|_| Refusal::bad(problem))? as usize;
            }
            "skiptoken" => self.after = Some(open_token(value)?),
            "count" => {
                let problem = "$count: true or false is expected";
                let count = value.to_ascii_lowercase().parse();
                self.count = count.map_err(|_| Refusal::bad(problem))?;
            }
            "filter" => {
                let filter = Filter::read(value, properties);
                self.filter = Some(filter.map_err(Refusal::bad)?);
            }
            "select" => {
                for name in value.split(',').map(str::trim).filter(|name| *name != "*") {
                    self.select.push(known("$select", name, properties)?);
                }
            }
            "orderby" => {
                for part in value.split(',') {
                    let words: Vec<&str> = part.split_whitespace().collect();
                    let (name, sorting) = match words[..] {
                        [name] | [name, "asc"] => (name, Sorting::Ascending),
                        [name, "desc"] => (name, Sorting::Descending),
                        _ => {
                            let problem = "$orderby: PROPERTY, or PROPERTY desc, is expected";
                            return Err(Refusal::bad(problem));
                        }
                    };
                    let name = known("$orderby", name, properties)?;
                    self.orderby.push((name, sorting));
                }
            }
            "format" => {
                if !value.eq_ignore_ascii_case("json") && !value.starts_with("application/json") {
                    return Err(Refusal::bad("$format: json is expected"));
                }
            }
            _ => return Err(Refusal::bad(format!("${name} is not supported here"))),
        }
        Ok(())
    }

    /// Whether a row is wanted.
    pub(super) fn wants(&self, row: &Row) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.holds(row))
    }

    /// What of a row is answered; what says of which type it is stays.
    pub(super) fn selected(&self, mut row: Row) -> Row {
        if !self.select.is_empty() {
            row.retain(|name, _| name.starts_with('@') || self.select.contains(name));
        }
        row
    }

    fn sort(&self, rows: &mut [Row]) {
        if self.orderby.is_empty() {
            return;
        }
        let value = |row: &Row, name: &str| row.get(name).cloned().unwrap_or(Value::Null);
        rows.sort_by(|a, b| {
            let mut order = Ordering::Equal;
            for (name, sorting) in &self.orderby {
                let (a, b) = (value(a, name), value(b, name));
                // Nothing stands before something.
                let next = compare(&a, &b).unwrap_or_else(|| b.is_null().cmp(&a.is_null()));
                order = order.then(match sorting {
                    Sorting::Ascending => next,
                    Sorting::Descending => next.reverse(),
                });
            }
            order
        });
    }

    /// The page of a list that the query asks for.
    ///
    /// # Errors
    /// [`Refusal`] where the place of the last page's end cannot be read.
    pub(super) fn page(&self, rows: Vec<Row>) -> Result<Page, Refusal> {
        let mut rows: Vec<Row> = rows.into_iter().filter(|row| self.wants(row)).collect();
        self.sort(&mut rows);
        let id = |row: &Row| row.get("id").and_then(Value::as_str).map(str::to_owned);
        let begin = match &self.after {
            None => self.skip,
            Some(after) => {
                let (at, last) = after.split_once(' ').ok_or_else(foreign_token)?;
                let at: u32 = at.parse().map_err(|_| foreign_token())?;
                // Where the list has grown meanwhile, the page goes on behind the row
                // with which the last one ended.
                let last = rows.iter().position(|row| id(row).as_deref() == Some(last));
                last.map_or(at as usize, |last| last + 1)
            }
        };
        let total = rows.len();
        let page: Vec<Row> = rows.into_iter().skip(begin).take(self.top).collect();
        let end = begin.saturating_add(page.len());
        let last = page.last().and_then(id).unwrap_or_default();
        Ok(Page {
            total,
            next: (end < total && !page.is_empty()).then(|| format!("{end} {last}")),
            rows: page,
        })
    }

    /// The address of the page that begins where this one ended.
    pub(super) fn next_link(&self, address: &str, after: &str) -> String {
        let token = BASE64_URL_SAFE_NO_PAD.encode(after);
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let given = self.given.iter();
        let given = given.map(|(name, value)| format!("{name}={}&", encode(value)));
        format!("{address}?{}$skiptoken={token}", given.collect::<String>())
    }
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// How many rows there are on all pages.
    pub(super) total: usize,
    /// Where the next page begins.
    pub(super) next: Option<String>,
}

fn known(option: &str, name: &str, properties: &[&str]) -> Result<String, Refusal> {
    let mut properties = properties.iter();
    if properties.any(|property| *property == name) {
        return Ok(name.to_owned());
    }
    Err(Refusal::bad(format!(
        "{option}: there is no property {name:?}"
    )))
}

fn open_token(token: &str) -> Result<String, Refusal> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(foreign_token)
}

/// That a token is none of ours.
pub(super) fn foreign_token() -> Refusal {
    Refusal::bad("$skiptoken: the token of an earlier answer is expected")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TAKES: Takes = Takes {
        options: &[
            "top",
            "skip",
            "skiptoken",
            "count",
            "filter",
            "select",
            "orderby",
            "format",
        ],
        properties: &["id", "status", "total"],
    };

    fn rows(count: usize) -> Vec<Row> {
        let row = |n: usize| {
            let row = json!({ "@odata.type": "#x", "id": format!("{n:02}"), "total": n % 3, "status": "s" });
            row.as_object().expect("an object").clone()
        };
        (0..count).map(row).collect()
    }

    fn ids(rows: &[Row]) -> Vec<String> {
        let id = |row: &Row| row["id"].as_str().expect("a text").to_owned();
        rows.iter().map(id).collect()
    }

    fn read(text: &str) -> Query {
        Query::read(Some(text), TAKES).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"))
    }

    #[test]
    fn options_do_what_they_say() {
        for (query, expected) in [
            ("$top=2", vec!["00", "01"]),
            ("top=2&other=x", vec!["00", "01"]),
            ("$skip=3", vec!["03", "04"]),
            ("$skip=9", vec![]),
            ("$orderby=total desc,id", vec!["02", "01", "04", "00", "03"]),
            ("%24orderby=total+asc%2Cid+desc&%24top=1", vec!["03"]),
            ("$filter=total eq 1", vec!["01", "04"]),
            ("$filter=id eq '03'&$count=true", vec!["03"]),
            ("$format=json&$top=1", vec!["00"]),
        ] {
            let page = read(query).page(rows(5)).expect("a page");
            assert_eq!(ids(&page.rows), expected, "{query}");
        }
        assert_eq!(
            read("$filter=total eq 1&$top=1")
                .page(rows(5))
                .expect("a page")
                .total,
            2
        );
        let row = read("$select=id").selected(rows(1).remove(0));
        assert_eq!(
            Value::Object(row),
            json!({ "@odata.type": "#x", "id": "00" })
        );
    }

    #[test]
    fn pages_follow_one_another_also_where_the_list_grows() {
        let first = read("$top=2&$filter=status eq 's'&$count=true");
        let page = first.page(rows(5)).expect("a page");
        let next = page.next.expect("there is more");
        let link = first.next_link("http://h/a", &next);
        assert!(
            link.starts_with("http://h/a?$top=2&$filter=status+eq+%27s%27&$count=true&$skiptoken="),
            "{link}"
        );
        let second = read(link.split_once('?').expect("a query").1);
        assert_eq!((second.top, second.count), (2, true));
        let mut grown = rows(5);
        let mut new = grown[0].clone();
        new.insert("id".to_owned(), json!("new"));
        grown.insert(0, new);
        let page = second.page(grown).expect("a page");
        assert_eq!(ids(&page.rows), ["02", "03"]);
        let third = read(
            second
                .next_link("x", &page.next.expect("more"))
                .split_once('?')
                .expect("?")
                .1,
        );
        let page = third.page(rows(5)).expect("a page");
        assert_eq!((ids(&page.rows), page.next), (vec!["04".to_owned()], None));
    }

    #[test]
    fn what_is_not_taken_is_refused() {
        let message = |text: &str, takes| Query::read(Some(text), takes).expect_err(text).message;
        for (query, expected) in [
            ("$top=0", "$top: a number from 1 to 999 is expected"),
            ("$top=1000", "$top: a number from 1 to 999 is expected"),
            ("$skip=-1", "$skip: a number from 0 on is expected"),
            ("$count=2", "$count: true or false is expected"),
            ("$select=id,nome", "$select: there is no property \"nome\""),
            (
                "$orderby=id up",
                "$orderby: PROPERTY, or PROPERTY desc, is expected",
            ),
            ("$orderby=nome", "$orderby: there is no property \"nome\""),
            (
                "$filter=nome eq 1",
                "$filter: there is no property \"nome\"",
            ),
            ("$expand=id", "$expand is not supported here"),
            ("$search=x", "$search is not supported here"),
            ("$apply=x", "there is no query option $apply"),
            ("$top=1&$top=2", "$top is given twice"),
            (
                "$skiptoken=%21",
                "$skiptoken: the token of an earlier answer is expected",
            ),
            ("$format=atom", "$format: json is expected"),
        ] {
            assert_eq!(message(query, TAKES), expected, "{query}");
        }
        let foreign = read("$skiptoken=eA").page(rows(1)).expect_err("not ours");
        assert_eq!(foreign, foreign_token());
        let single = Takes {
            options: &["select"],
            ..TAKES
        };
        assert_eq!(message("$top=1", single), "$top is not supported here");
    }
}

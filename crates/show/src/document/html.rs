//! A page for people: one file that needs no network, no script and no other
//! file, to be read on a screen, printed or mailed.
//!
//! Owns the order of the page and its division into sections and tables. Texts
//! of a tenant are tamed before they come to a template, and escaped by it, since
//! anybody may have named a thing to play tricks on a reader.

mod entry;
mod head;

use std::io::Write;

use askama::Template;
use proto::v1;

use super::tally::{Summary, TypeTally};
use super::{Document, Error};
use crate::text::tame;
use crate::words;
use entry::Entry;
use head::Head;

/// How many objects one table holds: a browser lays out small tables faster, and
/// only those that are looked at.
const PART: u64 = 200;

/// A page that is being written.
pub struct Page<W> {
    out: W,
    report: String,
    /// Those that are still to come.
    sections: std::vec::IntoIter<Section>,
    /// The one that is being written.
    current: Option<Section>,
}

/// The objects of one type.
struct Section {
    /// Counted from one.
    number: usize,
    /// Graph's name of the type.
    name: String,
    title: String,
    objects: u64,
    /// How many of them are written.
    written: u64,
}

#[derive(Template)]
#[template(path = "report/section.html", whitespace = "minimize")]
struct SectionHead<'a> {
    section: &'a Section,
    count: String,
}

#[derive(Template)]
#[template(path = "report/part.html", whitespace = "minimize")]
struct PartHead<'a> {
    title: &'a str,
    /// Which of the objects, where one table does not hold all.
    range: Option<String>,
}

#[derive(Template)]
#[template(path = "report/foot.html", whitespace = "minimize")]
struct Foot<'a> {
    report: &'a str,
}

/// What ends a table of objects.
const END_OF_PART: &str = "</table></div>\n";
/// What ends the objects of a type.
const END_OF_SECTION: &str = "</section>\n";

impl<W: Write> Page<W> {
    /// Writes what comes before the first change.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn begin(summary: &Summary, mut out: W) -> Result<Self, Error> {
        put(&Head::of(summary), &mut out)?;
        let section = |(at, of): (usize, &TypeTally)| Section {
            number: at + 1,
            name: of.name.clone(),
            title: words::title(&of.name),
            objects: of.objects(),
            written: 0,
        };
        let sections: Vec<Section> = summary
            .tally
            .types
            .iter()
            .enumerate()
            .map(section)
            .collect();
        Ok(Self {
            out,
            report: tame(&summary.report.name),
            sections: sections.into_iter(),
            current: None,
        })
    }

    /// Comes to the section of a type, and begins it where it is another than that
    /// of the last object.
    fn section(&mut self, object_type: &str) -> Result<&mut Section, Error> {
        let begins = self
            .current
            .as_ref()
            .is_none_or(|section| section.name != object_type);
        if begins {
            self.end_section()?;
            self.current = self.sections.next();
            if let Some(section) = &self.current {
                let count = words::number(section.objects);
                put(&SectionHead { section, count }, &mut self.out)?;
            }
        }
        self.current
            .as_mut()
            .filter(|section| section.name == object_type)
            .ok_or(Error::NotUnderstood("a report changes while it is read"))
    }

    fn end_section(&mut self) -> Result<(), Error> {
        match self.current.take() {
            Some(_) => text(&mut self.out, &[END_OF_PART, END_OF_SECTION]),
            None => Ok(()),
        }
    }
}

impl<W: Write> Document for Page<W> {
    fn change(&mut self, change: &v1::Change) -> Result<(), Error> {
        let entry = Entry::of(change)?;
        let object_type = change
            .object
            .as_ref()
            .map_or("", |object| object.r#type.as_str());
        let section = self.section(object_type)?;
        let (before, title, all) = (section.written, section.title.clone(), section.objects);
        section.written += 1;
        if before.is_multiple_of(PART) {
            if before > 0 {
                text(&mut self.out, &[END_OF_PART])?;
            }
            let range =
                (all > PART).then(|| words::range(before + 1, (before + PART).min(all), all));
            let title = &title;
            put(&PartHead { title, range }, &mut self.out)?;
        }
        put(&entry, &mut self.out)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.end_section()?;
        let report = &self.report;
        put(&Foot { report }, &mut self.out)
    }
}

fn put(template: &impl Template, out: &mut impl Write) -> Result<(), Error> {
    Template::write_into(template, out).map_err(Error::Output)
}

fn text(out: &mut impl Write, parts: &[&str]) -> Result<(), Error> {
    let mut parts = parts.iter();
    parts
        .try_for_each(|part| out.write_all(part.as_bytes()))
        .map_err(Error::Output)
}

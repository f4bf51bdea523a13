//! The page of documentation that holds the figures, a part for each benchmark.
//!
//! Owns how a benchmark's part is found and replaced, and must never touch another's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

const TITLE: &str = "# Benchmarks\n";

/// Write one benchmark's part of a page; the page is made where there is none.
pub(super) fn write(path: &Path, benchmark: &str, text: &str) -> Result<()> {
    let page = if path.exists() {
        fs::read_to_string(path)
    } else {
        Ok(TITLE.to_owned())
    };
    let page = page.with_context(|| format!("could not read {}", path.display()))?;
    let page = replaced(&page, benchmark, text)
        .with_context(|| format!("{} is not such a page", path.display()))?;
    fs::write(path, page).with_context(|| format!("could not write {}", path.display()))
}

/// The page with another text in one part, which comes last where it is new.
fn replaced(page: &str, benchmark: &str, text: &str) -> Result<String> {
    let begin = format!("<!-- begin {benchmark} -->\n");
    let end = format!("<!-- end {benchmark} -->\n");
    let part = format!("{begin}\n{}\n\n{end}", text.trim());
    match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            let (before, after) = (&page[..from], &page[to + end.len()..]);
            Ok(format!("{before}{part}{after}"))
        }
        (None, None) => Ok(format!("{}\n\n{part}", page.trim_end())),
        _ => bail!("the part of {benchmark} has no beginning or no end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_the_others_stay() {
        let page = replaced(TITLE, "a", "first\n").expect("a page");
        assert_eq!(
            page,
            "# Benchmarks\n\n<!-- begin a -->\n\nfirst\n\n<!-- end a -->\n"
        );
        let page = replaced(&page, "b", "second").expect("a page");
        let again = replaced(&page, "a", "new").expect("a page");
        assert_eq!(again, page.replace("first", "new"));
        assert!(again.contains("second"));
        assert!(replaced("<!-- begin a -->\n", "a", "x").is_err());
    }
}

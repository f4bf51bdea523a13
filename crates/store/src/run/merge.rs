//! Several runs as one: of rows about the same thing, the newest counts.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::Ordered;
use crate::error::StoreError;

/// Merges sorted rows; `sources` are in the order of their age, the oldest first.
/// Rows that say that something is gone are passed on.
pub(crate) fn newest<T, I>(sources: Vec<I>) -> impl Iterator<Item = Result<T, StoreError>>
where
    T: Ordered,
    I: Iterator<Item = Result<T, StoreError>>,
{
    let mut sources: Vec<Peekable<I>> = sources.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let mut first: Option<usize> = None;
        let mut failed: Option<usize> = None;
        let mut same: Vec<usize> = Vec::new();
        let heads: Vec<Option<&Result<T, StoreError>>> =
            sources.iter_mut().map(Peekable::peek).collect();
        for (index, head) in heads.iter().enumerate() {
            match head {
                None => {}
                Some(Err(_)) => failed = Some(index),
                Some(Ok(row)) => {
                    let order = first.map(|first| match heads[first] {
                        Some(Ok(least)) => row.order(least),
                        _ => Ordering::Less,
                    });
                    match order {
                        Some(Ordering::Greater) => {}
                        Some(Ordering::Equal) => {
                            same.extend(first.replace(index));
                        }
                        None | Some(Ordering::Less) => {
                            same.clear();
                            first = Some(index);
                        }
                    }
                }
            }
        }
        let chosen = failed.or(first)?;
        if failed.is_none() {
            for index in same {
                sources[index].next();
            }
        }
        sources[chosen].next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Ordered for (u8, &'static str) {
        fn order(&self, other: &Self) -> Ordering {
            self.0.cmp(&other.0)
        }

        fn label(&self) -> String {
            self.0.to_string()
        }
    }

    #[test]
    fn the_newest_row_counts() {
        type Source = Vec<Result<(u8, &'static str), StoreError>>;
        let sources: Vec<Source> = vec![
            vec![Ok((1, "a")), Ok((2, "a")), Ok((3, "a")), Ok((5, "a"))],
            vec![Ok((2, "b")), Ok((4, "b"))],
            vec![Ok((2, "c")), Ok((3, "c"))],
        ];
        let merged: Vec<_> = newest(sources.into_iter().map(Vec::into_iter).collect())
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(merged, [(1, "a"), (2, "c"), (3, "c"), (4, "b"), (5, "a")]);
    }

    #[test]
    fn a_failure_is_not_passed_over() {
        let broken = || StoreError::Internal("broken".to_owned());
        let sources = vec![vec![Ok((1, "a")), Err(broken())], vec![Ok((1, "b"))]];
        let mut merged = newest(sources.into_iter().map(Vec::into_iter).collect());
        assert_eq!(merged.next().unwrap().unwrap(), (1, "b"));
        assert!(merged.next().unwrap().is_err());
    }
}

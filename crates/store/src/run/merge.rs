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

/// Pairs what two sorted sources say about the same thing; one side is missing
/// where only the other speaks of it. After a failure nothing more comes.
pub(crate) fn apart<T: Ordered>(
    one: impl Iterator<Item = Result<T, StoreError>>,
    other: impl Iterator<Item = Result<T, StoreError>>,
) -> impl Iterator<Item = Result<(Option<T>, Option<T>), StoreError>> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let order = match (one.peek(), other.peek()) {
            (None, None) => return None,
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
            (Some(Ok(one)), Some(Ok(other))) => one.order(other),
        };
        let one = match order {
            Ordering::Greater => None,
            _ => one.next(),
        };
        let other = match order {
            Ordering::Less => None,
            _ => other.next(),
        };
        let pair = one
            .transpose()
            .and_then(|one| Ok((one, other.transpose()?)));
        failed = pair.is_err();
        Some(pair)
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
    fn what_only_one_says_stands_alone() {
        type Source = Vec<Result<(u8, &'static str), StoreError>>;
        let one: Source = vec![Ok((1, "a")), Ok((2, "a")), Ok((4, "a"))];
        let other: Source = vec![Ok((2, "b")), Ok((3, "b"))];
        let pairs: Vec<_> = apart(one.into_iter(), other.into_iter())
            .map(Result::unwrap)
            .collect();
        let expected = [
            (Some((1, "a")), None),
            (Some((2, "a")), Some((2, "b"))),
            (None, Some((3, "b"))),
            (Some((4, "a")), None),
        ];
        assert_eq!(pairs, expected);
        let broken = vec![Ok((1, "a")), Err(StoreError::Internal("broken".to_owned()))];
        let told: Vec<_> = apart(broken.into_iter(), Source::new().into_iter()).collect();
        assert!(told[0].is_ok() && told[1].is_err() && told.len() == 2);
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

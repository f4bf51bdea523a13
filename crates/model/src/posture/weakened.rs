//! What was good in an earlier posture and is a finding now.
//!
//! Owns that question alone. What was not known, or not reached, on the days between
//! says nothing, so that the last posture which tells is the one that counts.

use super::{CHECKS, CheckKind, Status};

/// The rule by which a weakening is told.
pub const RULE: &str = "protection-weakened";

/// A check as a kept posture tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which question.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// The answer.
    pub sentence: String,
}

/// A check that was good and is a finding now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakening {
    /// Which question.
    pub kind: &'static CheckKind,
    /// What was said when it was good.
    pub before: String,
    /// What is said now.
    pub now: String,
}

/// The checks that are findings now and were good in the last posture that tells;
/// `before` are the earlier ones, the newest first.
#[must_use]
pub fn weakened(now: &[Told], before: &[Vec<Told>]) -> Vec<Weakening> {
    let was_good = |found: &Told| {
        let last = last(&found.id, before)?;
        let kind = CHECKS.iter().find(|kind| kind.id == found.id)?;
        (last.status == Status::Good).then(|| Weakening {
            kind,
            before: last.sentence.clone(),
            now: found.sentence.clone(),
        })
    };
    findings(now).filter_map(was_good).collect()
}

/// Whether a still earlier posture could tell more.
#[must_use]
pub fn open_questions(now: &[Told], before: &[Vec<Told>]) -> bool {
    findings(now).any(|found| last(&found.id, before).is_none())
}

fn findings(told: &[Told]) -> impl Iterator<Item = &Told> {
    told.iter().filter(|one| one.status == Status::Finding)
}

/// The newest answer to a question that says whether it is good.
fn last<'a>(id: &str, before: &'a [Vec<Told>]) -> Option<&'a Told> {
    let mut answers = before.iter().flatten().filter(|one| one.id == id);
    answers.find(|one| matches!(one.status, Status::Good | Status::Finding))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: &str, status: Status, sentence: &str) -> Told {
        Told {
            id: id.to_owned(),
            status,
            sentence: sentence.to_owned(),
        }
    }

    #[test]
    fn only_what_was_good_when_it_was_last_known_has_weakened() {
        use Status::{Finding, Good, NotKnown, NotReached};
        let id = "policy-enabled";
        let cases: [(Status, &[Status], bool, bool); 9] = [
            (Finding, &[Good], true, false),
            (Finding, &[Finding, Good], false, false),
            (Finding, &[NotKnown, Good], true, false),
            (Finding, &[NotReached, NotKnown, Good], true, false),
            (Finding, &[NotKnown, Finding], false, false),
            (Finding, &[NotKnown], false, true),
            (Finding, &[], false, true),
            (NotKnown, &[Good], false, false),
            (NotReached, &[Good], false, false),
        ];
        for (now, before, raised, open) in cases {
            let now = [told(id, now, "Now.")];
            let before: Vec<Vec<Told>> = before
                .iter()
                .map(|status| vec![told(id, *status, "Before.")])
                .collect();
            let found = weakened(&now, &before);
            assert_eq!(found.len(), usize::from(raised), "{now:?} {before:?}");
            assert_eq!(open_questions(&now, &before), open, "{now:?} {before:?}");
            for one in found {
                assert_eq!(
                    (one.kind.id, &*one.before, &*one.now),
                    (id, "Before.", "Now.")
                );
            }
        }
        let unheard = [told("another", Finding, "Now.")];
        assert_eq!(weakened(&unheard, &[vec![told("another", Good, "")]]), []);
    }
}

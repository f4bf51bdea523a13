//! What a restore came to: the tenant compared with the snapshot, or after an undo
//! with what it was before the restore.

use std::collections::HashSet;
use std::time::Duration;

use graph::DirectoryWriter;
use model::diff::Scope;
use model::lineage::Lineage;
use model::plan::{Action, Exclusion, Left, Step, judge};
use model::snapshot::Kind;
use model::{ObjectId, ObjectRef, ObjectType, TenantId};
use proto::convert::{model_chosen, model_parts, model_scope};
use proto::v1::{Plan, Restore};
use runtime::status::chain;

use crate::documents::Documents;
use crate::step::Prospect;
use crate::{Context, Error, report, step};

/// Waits before a comparison that found something is repeated: lists lag
/// behind writes.
const SECOND_LOOKS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// Whether a report that a kind could not be compared is about one that a restore
/// answers for: the types that every tenant is backed up for, and those that the plan
/// writes.
fn matters(not_compared: &str, written: &HashSet<ObjectType>) -> bool {
    let name = not_compared.split(": ").next().unwrap_or_default();
    Kind::from_name(name).is_none_or(|kind| {
        let object_type = kind.object_type();
        object_type.is_essential() || written.contains(&object_type)
    })
}

/// The comparison of the tenant after a restore with what it should be.
pub(crate) struct Verification<'a> {
    pub(crate) context: &'a Context,
    pub(crate) documents: &'a Documents,
    pub(crate) directory: &'a dyn DirectoryWriter,
    pub(crate) tenant: &'a TenantId,
    pub(crate) plan: &'a Plan,
    pub(crate) steps: &'a [Step],
    pub(crate) exclusions: &'a [Exclusion],
    /// What was made anew, of which the comparison speaks by its new id.
    pub(crate) lineage: &'a Lineage,
}

impl Verification<'_> {
    /// Writes into a restore what the comparison shows.
    pub(crate) async fn judge(&self, restore: &mut Restore) {
        let mut waits = SECOND_LOOKS.into_iter();
        loop {
            match self.compare().await {
                Ok((report, left)) => {
                    restore.verification_report = report;
                    restore.verified = left.unexpected.is_empty();
                    restore.unexpected = left.unexpected;
                    restore.meanwhile = left.meanwhile;
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the restore could not be verified");
                    restore.verified = false;
                    let sentence = format!("the tenant could not be compared: {}", chain(&error));
                    restore.unexpected = vec![sentence];
                }
            }
            let Some(wait) = waits.next().filter(|_| !restore.verified) else {
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn compare(&self) -> Result<(String, Left), Error> {
        if !self.plan.undo_of.is_empty() {
            let unexpected = self.not_undone().await?;
            let left = Left {
                unexpected,
                ..Left::default()
            };
            return Ok((String::new(), left));
        }
        if self.plan.protection.is_some() {
            // Of one for which nothing was made the outcome tells.
            let steps = self.steps.iter();
            let steps = steps.filter_map(|step| step.in_new_ids(self.lineage).ok());
            let steps: Vec<Step> = steps.collect();
            let unexpected = self.not_done(&steps, "planned", "before").await?;
            let left = Left {
                unexpected,
                ..Left::default()
            };
            return Ok((String::new(), left));
        }
        let deps = &self.context.deps;
        let scope = model_scope(self.plan.scope.as_ref())?;
        // Named after the attempt: a report of an earlier one is of no use.
        let request_id = format!("{}-after-{}", self.documents.id(), deps.ids.uuid());
        let snapshot = &self.plan.snapshot;
        let report = report::fresh(&deps.differ, self.tenant, snapshot, &scope, request_id).await?;
        let changes = report::changes(&deps.differ, self.tenant, &report.name).await?;
        let parts = model_parts(&self.plan.properties, &self.plan.links)?;
        let (changes, _) = parts.in_new_ids(self.lineage).narrowed(changes);
        let changes = model_chosen(self.plan.options.as_ref())?.expected(changes);
        let steps = self.steps.iter();
        let planned = steps.map(|step| self.lineage.current(&step.object.id));
        let planned: HashSet<ObjectId> = planned.collect();
        let mut exclusions = self.exclusions.to_vec();
        for exclusion in &mut exclusions {
            exclusion.object.id = self.lineage.current(&exclusion.object.id);
            exclusion.part = self.lineage.text(&exclusion.part).into_owned();
        }
        let types = self.steps.iter().map(|it| it.object.object_type).collect();
        let mut left = judge(&changes, &planned, &exclusions);
        let unseen = report.not_compared.iter();
        let unseen = unseen.filter(|kind| matters(kind, &types));
        left.unexpected
            .extend(unseen.map(|kind| format!("could not be compared: {kind}")));
        left.unexpected.extend(self.not_done_beyond(&scope).await?);
        Ok((report.name, left))
    }

    /// What an undo should have put back and is not as it was before the restore.
    async fn not_undone(&self) -> Result<Vec<String>, Error> {
        self.not_done(self.steps, "before the restore", "the restore left it")
            .await
    }

    /// What the plan writes outside of its scope, since it names or is tied to what
    /// comes back, and is not as the plan leaves it. The rest of these objects may
    /// differ from the snapshot.
    async fn not_done_beyond(&self, scope: &Scope) -> Result<Vec<String>, Error> {
        let outside = |step: &&Step| !scope.holds(step.object.object_type, &step.object.id);
        let steps = self.steps.iter().filter(outside);
        // Of one for which nothing was made the outcome tells.
        let steps = steps.filter_map(|step| step.in_new_ids(self.lineage).ok());
        let steps: Vec<Step> = steps.collect();
        self.not_done(&steps, "planned", "before the restore").await
    }

    /// The steps whose objects are not as they leave them, in a sentence each.
    async fn not_done(
        &self,
        steps: &[Step],
        wanted: &str,
        untouched: &str,
    ) -> Result<Vec<String>, Error> {
        let steps = last_words(steps);
        let prospects = step::prospects(self.directory, &steps).await?;
        let sentence = |(step, prospect): (&Step, Prospect)| {
            let detail = match prospect {
                Prospect::Done => return None,
                Prospect::Ready => format!("it is as {untouched}"),
                Prospect::Neither(detail) => detail,
            };
            let ObjectRef {
                object_type,
                id,
                name,
            } = &step.object;
            let number = step.number;
            Some(format!(
                "{object_type} \"{name}\" ({id}) is not as {wanted}, by step {number}: {detail}"
            ))
        };
        let looked = steps.iter().copied().zip(prospects);
        Ok(looked.filter_map(sentence).collect())
    }
}

/// The steps that have the last word about what they write: of several on one
/// property the last one, and none on an object that a later one deletes.
fn last_words(steps: &[Step]) -> Vec<&Step> {
    let mut said: HashSet<(&ObjectId, &str)> = HashSet::new();
    let mut deleted: HashSet<&ObjectId> = HashSet::new();
    let mut last = Vec::new();
    for step in steps.iter().rev() {
        let id = &step.object.id;
        if deleted.contains(id) {
            continue;
        }
        if step.action == Action::SoftDelete {
            deleted.insert(id);
        }
        let properties = step.guards.iter().map(|guard| guard.property.as_str());
        let new = properties.filter(|property| said.insert((id, property)));
        if new.count() > 0 || step.guards.is_empty() {
            last.push(step);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_answers_for_the_types_that_its_plan_writes() {
        let written = HashSet::from([ObjectType::RoleAssignment]);
        let check = |not_compared: &str, expected: bool| {
            assert_eq!(matters(not_compared, &written), expected, "{not_compared}");
        };
        check("user: 403 on page 2 in the target", true);
        check("deleted/group: not read in the base", true);
        check(
            "oAuth2PermissionGrant: denied: no consent in the base",
            false,
        );
        check("unifiedRoleAssignment: denied in the target", true);
        check("deleted/administrativeUnit: not read in the base", false);
        check(
            "administrativeUnit/members: ends of type user were not read",
            false,
        );
        check("something new: not read in the base", true);
    }
}

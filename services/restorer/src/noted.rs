//! How steps ended and what they made, as journal and lineage keep it.

use model::lineage::{Entry, Lineage};
use model::plan::Step;
use proto::convert::{self, timestamp};
use proto::v1::Outcome;

use crate::apply::number;
use crate::documents::Documents;
use crate::recreate::Made;
use crate::step::Ending;
use crate::{Context, Error};

/// How some steps ended, and what they made, as journal and lineage keep it.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) outcomes: Vec<Outcome>,
    made_anew: Vec<Entry>,
}

impl Noted {
    pub(crate) fn add(
        &mut self,
        context: &Context,
        documents: &Documents,
        step: &Step,
        ending: Ending,
        made: Option<Made>,
    ) {
        let mut outcome = outcome(context, step, ending);
        if let Some(made) = made {
            outcome.new_id = made.new.to_string();
            self.made_anew.push(Entry {
                object_type: step.object.object_type,
                old: step.object.id.clone(),
                new: made.new,
                app_ids: made.app_ids,
                made: context.deps.clock.now(),
                restore: documents.id().clone(),
            });
        }
        self.outcomes.push(outcome);
    }

    /// Tells the lineage what is new to it, and answers that. Where it cannot be told,
    /// the outcomes of the steps that made something are left out, so that these are
    /// settled later.
    pub(crate) async fn tell(
        &mut self,
        documents: &Documents,
        lineage: &Lineage,
    ) -> Result<Vec<Entry>, Error> {
        let made_anew = std::mem::take(&mut self.made_anew);
        let told = documents.vault().add_lineage(lineage, &made_anew).await;
        if told.is_err() {
            for Entry { old, new, .. } in &made_anew {
                tracing::error!(%old, %new, "made anew, and the lineage cannot be told of it");
            }
            self.outcomes.retain(|outcome| outcome.new_id.is_empty());
        }
        Ok(told?)
    }
}

/// How a step ended, as the journal keeps it.
pub(crate) fn outcome(context: &Context, step: &Step, ending: Ending) -> Outcome {
    let message = convert::step(step);
    let Ending {
        state,
        detail,
        trail,
    } = ending;
    Outcome {
        step: number(step.number),
        state: state as i32,
        detail,
        time: Some(timestamp(context.deps.clock.now())),
        object: message.object,
        action: message.action,
        request_id: trail.request_id,
        before_json: trail.before.map(|value| value.to_string()),
        after_json: trail.after.map(|value| value.to_string()),
        new_id: String::new(),
    }
}

//! What is stored of a restore: the plan's pages first and the plan last, so
//! that it is whole or not there; then the journal, entry by entry; then the
//! result.

use bytes::Bytes;
use model::PlanId;
use model::plan::{Exclusion, Step};
use prost::Message;
use proto::convert;
use proto::v1::{
    Exclusion as ExclusionMessage, JournalEntry, ListPlanExclusionsResponse, ListPlanStepsResponse,
    Plan, PlanStep, Restore,
};
use runtime::page::Window;
use store::{Area, StoreError, TenantVault};

use crate::Error;

/// Steps or exclusions in one stored page.
const PAGE: usize = 1000;
/// The document that makes a plan visible.
const PLAN: &str = "plan";
/// The document that ends a restore.
const RESULT: &str = "result";

/// The documents of one plan and its restore.
#[derive(Debug, Clone)]
pub(crate) struct Documents {
    vault: TenantVault,
    id: PlanId,
}

impl Documents {
    pub(crate) fn new(vault: TenantVault, id: PlanId) -> Self {
        Self { vault, id }
    }

    /// The tenant's part of the vault.
    pub(crate) fn vault(&self) -> &TenantVault {
        &self.vault
    }

    pub(crate) fn id(&self) -> &PlanId {
        &self.id
    }

    /// Stores a plan.
    pub(crate) async fn write_plan(
        &self,
        plan: &Plan,
        content: &model::plan::Plan,
    ) -> Result<(), Error> {
        for (number, steps) in (1..).zip(content.steps.chunks(PAGE)) {
            let page = ListPlanStepsResponse {
                steps: steps.iter().map(convert::step).collect(),
                next_page_token: String::new(),
            };
            self.put(&format!("steps/{number:06}"), &page).await?;
        }
        for (number, exclusions) in (1..).zip(content.exclusions.chunks(PAGE)) {
            let exclusions = exclusions.iter().map(convert::exclusion).collect();
            let page = ListPlanExclusionsResponse {
                exclusions,
                next_page_token: String::new(),
            };
            self.put(&format!("exclusions/{number:06}"), &page).await?;
        }
        self.put(PLAN, plan).await
    }

    pub(crate) async fn plan(&self) -> Result<Plan, Error> {
        self.get(PLAN).await
    }

    /// The steps as messages, in order.
    pub(crate) async fn steps(&self) -> Result<Vec<PlanStep>, Error> {
        let pages: Vec<ListPlanStepsResponse> = self.pages("steps").await?;
        let steps: Vec<PlanStep> = pages.into_iter().flat_map(|page| page.steps).collect();
        self.counted(steps.len(), self.plan().await?.step_count, "steps")?;
        Ok(steps)
    }

    /// The steps in a window, as messages: only the pages that hold them are read.
    pub(crate) async fn steps_in(
        &self,
        window: Window,
        total: usize,
    ) -> Result<Vec<PlanStep>, Error> {
        let items = |page: ListPlanStepsResponse| page.steps;
        self.within(window, total, "steps", items).await
    }

    /// The same of exclusions.
    pub(crate) async fn exclusions_in(
        &self,
        window: Window,
        total: usize,
    ) -> Result<Vec<ExclusionMessage>, Error> {
        let items = |page: ListPlanExclusionsResponse| page.exclusions;
        self.within(window, total, "exclusions", items).await
    }

    /// What a window shows of stored pages, which are numbered from 1.
    async fn within<M: Message + Default, T>(
        &self,
        window: Window,
        total: usize,
        name: &str,
        items: fn(M) -> Vec<T>,
    ) -> Result<Vec<T>, Error> {
        let end = total.min(window.offset.saturating_add(window.limit));
        let (mut found, mut at) = (Vec::new(), window.offset);
        while at < end {
            let page: M = self.get(&format!("{name}/{:06}", at / PAGE + 1)).await?;
            let before = found.len();
            let rest = items(page).into_iter().skip(at % PAGE);
            found.extend(rest.take(end - at));
            if found.len() == before {
                return Err(self.damaged(format!("{name} are missing from {at} on")));
            }
            at += found.len() - before;
        }
        Ok(found)
    }

    /// The steps, in order.
    pub(crate) async fn model_steps(&self) -> Result<Vec<Step>, Error> {
        let steps: Result<Vec<Step>, _> = self
            .steps()
            .await?
            .iter()
            .map(convert::model_step)
            .collect();
        steps.map_err(|error| self.damaged(error))
    }

    /// The exclusions as messages, in order.
    pub(crate) async fn exclusions(&self) -> Result<Vec<ExclusionMessage>, Error> {
        let pages: Vec<ListPlanExclusionsResponse> = self.pages("exclusions").await?;
        let exclusions: Vec<ExclusionMessage> =
            pages.into_iter().flat_map(|page| page.exclusions).collect();
        self.counted(
            exclusions.len(),
            self.plan().await?.exclusion_count,
            "exclusions",
        )?;
        Ok(exclusions)
    }

    /// The exclusions, in order.
    pub(crate) async fn model_exclusions(&self) -> Result<Vec<Exclusion>, Error> {
        let exclusions: Result<Vec<Exclusion>, _> = self
            .exclusions()
            .await?
            .iter()
            .map(convert::model_exclusion)
            .collect();
        exclusions.map_err(|error| self.damaged(error))
    }

    /// The journal so far, in order.
    pub(crate) async fn journal(&self) -> Result<Vec<JournalEntry>, Error> {
        self.pages("journal").await
    }

    /// Adds an entry to the journal; its number is how many stood before it.
    ///
    /// A number that is taken means that another process applies the plan.
    pub(crate) async fn append(&self, stood: usize, entry: &JournalEntry) -> Result<(), Error> {
        match self.put(&format!("journal/{:06}", stood + 1), entry).await {
            Err(Error::Store(StoreError::Exists { .. })) => Err(Error::AppliedElsewhere {
                id: self.id.to_string(),
            }),
            other => other,
        }
    }

    /// The result; `None` while the restore has none.
    pub(crate) async fn result(&self) -> Result<Option<Restore>, Error> {
        match self.get(RESULT).await {
            Ok(restore) => Ok(Some(restore)),
            Err(Error::Store(StoreError::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn write_result(&self, restore: &Restore) -> Result<(), Error> {
        self.put(RESULT, restore).await
    }

    fn counted(&self, found: usize, expected: i32, what: &str) -> Result<(), Error> {
        if i32::try_from(found) == Ok(expected) {
            return Ok(());
        }
        Err(self.damaged(format!(
            "{found} {what} are stored where the plan counts {expected}"
        )))
    }

    fn damaged(&self, detail: impl std::fmt::Display) -> Error {
        Error::Damaged {
            id: self.id.to_string(),
            detail: detail.to_string(),
        }
    }

    async fn put(&self, name: &str, message: &impl Message) -> Result<(), Error> {
        Ok(self
            .vault
            .put(
                Area::Restores,
                self.id.as_str(),
                name,
                Bytes::from(message.encode_to_vec()),
            )
            .await?)
    }

    async fn get<M: Message + Default>(&self, name: &str) -> Result<M, Error> {
        let bytes = self
            .vault
            .get(Area::Restores, self.id.as_str(), name)
            .await?;
        M::decode(bytes).map_err(|error| self.damaged(error))
    }

    /// Numbered pages from 1 until one is missing.
    async fn pages<M: Message + Default>(&self, name: &str) -> Result<Vec<M>, Error> {
        let mut pages = Vec::new();
        for number in 1.. {
            match self.get(&format!("{name}/{number:06}")).await {
                Ok(page) => pages.push(page),
                Err(Error::Store(StoreError::NotFound { .. })) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(pages)
    }
}

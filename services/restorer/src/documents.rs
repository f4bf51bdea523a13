//! What is stored of a restore: the plan's pages first and the plan last, so
//! that it is whole or not there; then who applies it, and the journal, entry by
//! entry; that it is cancelled; then the result.

use bytes::Bytes;
use model::PlanId;
use model::plan::{Exclusion, Step};
use prost::Message;
use proto::convert;
use proto::v1::{
    Approval, ApprovalGrounds, Deed, Errand, Exclusion as ExclusionMessage, Failure, JournalEntry,
    ListPlanExclusionsResponse, ListPlanStepsResponse, Plan, PlanStep, Restore,
};
use runtime::page::Window;
use store::{Area, StoreError, TenantVault};

use crate::Error;

/// Steps or exclusions in one stored page.
const PAGE: usize = 1000;
/// The document with what approval policies look at in a plan.
const GROUNDS: &str = "grounds";
/// The document that makes a plan visible.
const PLAN: &str = "plan";
/// The document that ends a restore.
const RESULT: &str = "result";
/// The document that says why nothing comes of an errand.
const FAILURE: &str = "failure";
/// The document that says that a restore is cancelled.
const CANCEL: &str = "cancel";

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

    /// Stores a plan, and gives it the hash over all that is stored of it.
    pub(crate) async fn write_plan(
        &self,
        plan: Plan,
        content: &model::plan::Plan,
        grounds: &ApprovalGrounds,
    ) -> Result<Plan, Error> {
        // The first of all, so that of several who make the plan one goes on.
        let grounds = self.put(GROUNDS, grounds).await?;
        let mut digest = Digest::default();
        for (number, steps) in (1..).zip(content.steps.chunks(PAGE)) {
            let page = ListPlanStepsResponse {
                steps: steps.iter().map(convert::step).collect(),
                next_page_token: String::new(),
            };
            let name = format!("steps/{number:06}");
            digest.add(&name, &self.put(&name, &page).await?);
        }
        for (number, exclusions) in (1..).zip(content.exclusions.chunks(PAGE)) {
            let exclusions = exclusions.iter().map(convert::exclusion).collect();
            let page = ListPlanExclusionsResponse {
                exclusions,
                next_page_token: String::new(),
            };
            let name = format!("exclusions/{number:06}");
            digest.add(&name, &self.put(&name, &page).await?);
        }
        digest.add(GROUNDS, &grounds);
        let plan = Plan {
            hash: digest.over(&plan),
            ..plan
        };
        self.put(PLAN, &plan).await?;
        Ok(plan)
    }

    /// Checks that what is stored of a plan is what its hash was made of.
    pub(crate) async fn verify(&self, plan: &Plan) -> Result<(), Error> {
        let mut digest = Digest::default();
        for folder in ["steps", "exclusions"] {
            for number in 1.. {
                let name = format!("{folder}/{number:06}");
                match self.raw(&name).await {
                    Ok(bytes) => digest.add(&name, &bytes),
                    Err(Error::Store(StoreError::NotFound { .. })) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        digest.add(GROUNDS, &self.raw(GROUNDS).await?);
        if digest.over(plan) == plan.hash {
            return Ok(());
        }
        Err(self.damaged("its steps or exclusions are not those that its hash is of"))
    }

    /// What approval policies look at in a plan; `None` for one that was made before
    /// there were any.
    pub(crate) async fn grounds(&self) -> Result<Option<ApprovalGrounds>, Error> {
        self.if_there(GROUNDS).await
    }

    /// The approvals of the plan, the oldest first.
    pub(crate) async fn approvals(&self) -> Result<Vec<model::approval::Approval>, Error> {
        let mut approvals = Vec::new();
        for number in 1.. {
            let (id, name) = (self.id.as_str(), approval_name(number));
            match self.vault.get(Area::Approvals, id, &name).await {
                Ok(bytes) => {
                    let message = Approval::decode(bytes).map_err(|error| self.damaged(error))?;
                    let approval = convert::model_approval(&message);
                    approvals.push(approval.map_err(|error| self.damaged(error))?);
                }
                Err(StoreError::NotFound { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(approvals)
    }

    /// Adds an approval after so many; whether it was the first to have that place.
    pub(crate) async fn add_approval(
        &self,
        stood: usize,
        approval: &model::approval::Approval,
    ) -> Result<bool, Error> {
        let bytes = Bytes::from(convert::approval(approval).encode_to_vec());
        let name = approval_name(stood + 1);
        let put = self
            .vault
            .put(Area::Approvals, self.id.as_str(), &name, bytes);
        match put.await {
            Ok(()) => Ok(true),
            Err(StoreError::Exists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether somebody has begun to apply the plan.
    pub(crate) async fn has_begun(&self) -> Result<bool, Error> {
        let first: Option<JournalEntry> = self.if_there("journal/000001").await?;
        Ok(first.is_some())
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
        self.journal_after(0).await
    }

    /// The journal from the entry on before which so many stand.
    pub(crate) async fn journal_after(&self, stood: usize) -> Result<Vec<JournalEntry>, Error> {
        self.pages_after("journal", stood).await
    }

    /// Adds an entry to the journal; its number is how many stood before it.
    ///
    /// A number that is taken means that another process applies the plan.
    pub(crate) async fn append(&self, stood: usize, entry: &JournalEntry) -> Result<(), Error> {
        match self.put(&format!("journal/{:06}", stood + 1), entry).await {
            Err(Error::Store(StoreError::Exists { .. })) => Err(Error::AppliedElsewhere {
                id: self.id.to_string(),
            }),
            other => other.map(drop),
        }
    }

    /// Notes who applies the plan or goes on with it; once where the same one goes on
    /// again and again.
    pub(crate) async fn sign(&self, deed: &Deed) -> Result<(), Error> {
        let signed = self.signed().await?;
        let says_it = |last: &Deed| {
            let of_approval = last.approval.is_some() || deed.approval.is_none();
            last.caller == deed.caller && of_approval
        };
        if signed.last().is_some_and(says_it) {
            return Ok(());
        }
        let mut stood = signed.len();
        loop {
            stood += 1;
            match self.put(&format!("applied/{stood:06}"), deed).await {
                // Somebody else did at the same time.
                Err(Error::Store(StoreError::Exists { .. })) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Who applied the plan or went on with it, in order.
    pub(crate) async fn signed(&self) -> Result<Vec<Deed>, Error> {
        self.pages("applied").await
    }

    /// Says for good that the restore is cancelled; the first who says so counts.
    pub(crate) async fn cancel(&self, deed: &Deed) -> Result<(), Error> {
        match self.put(CANCEL, deed).await {
            Err(Error::Store(StoreError::Exists { .. })) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Who cancelled the restore; `None` where nobody did.
    pub(crate) async fn cancelled(&self) -> Result<Option<Deed>, Error> {
        self.if_there(CANCEL).await
    }

    /// Says for good why nothing comes of an errand; the first who says so counts.
    pub(crate) async fn write_failure(&self, failure: &Failure) -> Result<(), Error> {
        match self.put(FAILURE, failure).await {
            Err(Error::Store(StoreError::Exists { .. })) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Why nothing comes of an errand; `None` where nothing was noted.
    pub(crate) async fn failure(&self) -> Result<Option<Failure>, Error> {
        self.if_there(FAILURE).await
    }

    /// The result; `None` while the restore has none.
    pub(crate) async fn result(&self) -> Result<Option<Restore>, Error> {
        self.if_there(RESULT).await
    }

    pub(crate) async fn write_result(&self, restore: &Restore) -> Result<(), Error> {
        self.put(RESULT, restore).await.map(drop)
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

    /// Creates a document and answers what was written.
    async fn put(&self, name: &str, message: &impl Message) -> Result<Bytes, Error> {
        let bytes = Bytes::from(message.encode_to_vec());
        let id = self.id.as_str();
        self.vault
            .put(Area::Restores, id, name, bytes.clone())
            .await?;
        Ok(bytes)
    }

    async fn raw(&self, name: &str) -> Result<Bytes, Error> {
        let id = self.id.as_str();
        Ok(self.vault.get(Area::Restores, id, name).await?)
    }

    async fn get<M: Message + Default>(&self, name: &str) -> Result<M, Error> {
        let bytes = self.raw(name).await?;
        M::decode(bytes).map_err(|error| self.damaged(error))
    }

    async fn if_there<M: Message + Default>(&self, name: &str) -> Result<Option<M>, Error> {
        match self.get(name).await {
            Ok(message) => Ok(Some(message)),
            Err(Error::Store(StoreError::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Numbered pages from 1 until one is missing.
    async fn pages<M: Message + Default>(&self, name: &str) -> Result<Vec<M>, Error> {
        self.pages_after(name, 0).await
    }

    /// The same without the first so many.
    async fn pages_after<M: Message + Default>(
        &self,
        name: &str,
        stood: usize,
    ) -> Result<Vec<M>, Error> {
        let mut pages = Vec::new();
        for number in stood + 1.. {
            match self.get(&format!("{name}/{number:06}")).await {
                Ok(page) => pages.push(page),
                Err(Error::Store(StoreError::NotFound { .. })) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(pages)
    }
}

fn approval_name(number: usize) -> String {
    format!("{number:06}")
}

/// The hash of a plan: BLAKE3 over its documents as they are stored, each after its
/// name and both after their lengths, and at last the plan itself without what is
/// added to it when it is shown.
#[derive(Default)]
struct Digest(blake3::Hasher);

impl Digest {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            self.0.update(&length.to_le_bytes());
            self.0.update(part);
        }
    }

    fn over(mut self, plan: &Plan) -> String {
        let bare = Plan {
            hash: String::new(),
            approval_required: Vec::new(),
            approval: None,
            errand: plan.errand.clone().map(|errand| Errand {
                failure: None,
                ..errand
            }),
            ..plan.clone()
        };
        self.add(PLAN, &bare.encode_to_vec());
        self.0.finalize().to_hex().to_string()
    }
}

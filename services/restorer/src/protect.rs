//! Makes the plan that guards a tenant against hard deletion: read the tenant, let the
//! model choose the least that is necessary, store.
//!
//! What it makes is a plan like any other, which is of no use once other break-glass
//! accounts are registered. It writes nothing to the tenant.

use chrono::{DateTime, Utc};
use model::plan::{Lockout, Options};
use model::posture::{Unread, Wish, harden, is_workstation_rule};
use model::{ObjectId, PlanId, TenantId};
use proto::convert::{self, InvalidMessage, model_options, timestamp};
use proto::v1::{
    Plan, PlanOptions, PlanProtectionRequest, PlanState, ProtectionChoices, WatchPlanResponse,
};
use runtime::jobs::Progress;
use store::{TenantRecord, TenantVault};

use crate::documents::Documents;
use crate::{Context, Error, make_plan};

/// The longest rule of a filter for devices, as Conditional Access documents it.
const LONGEST_RULE: usize = 3072;

/// What may be chosen, validated.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    /// The rule that describes administrators' workstations.
    workstations: Option<String>,
    lockout: Lockout,
}

/// What a plan is about, validated.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) tenant: TenantId,
    pub(crate) id: PlanId,
    pub(crate) choices: Choices,
    /// Who asks; empty where the call came past the gateway.
    pub(crate) author: String,
    pub(crate) asked_at: DateTime<Utc>,
}

/// Reads what a request chooses.
///
/// # Errors
/// [`InvalidMessage`] for a rule that would let unknown devices through, or a risk that
/// is none.
pub(crate) fn choices(request: &PlanProtectionRequest) -> Result<Choices, InvalidMessage> {
    let rule = request.choices.clone().unwrap_or_default().device_filter;
    let invalid = |problem: &str| InvalidMessage::new("choices.device_filter", problem);
    if rule.chars().count() > LONGEST_RULE {
        return Err(invalid("a rule has at most 3072 characters"));
    }
    if !rule.is_empty() && !is_workstation_rule(&rule) {
        return Err(invalid(
            "the rule must describe the workstations by what they are, such as device.extensionAttribute1 -eq \"PAW\": by negative operators unknown devices would be let through, too",
        ));
    }
    let options = model_options(Some(&PlanOptions {
        accepted_risks: request.accepted_risks.clone(),
        ..PlanOptions::default()
    }))?;
    Ok(Choices {
        workstations: Some(rule).filter(|rule| !rule.is_empty()),
        lockout: options.lockout,
    })
}

/// Starts the making of a plan in the background.
pub(crate) fn start(context: &Context, vault: TenantVault, order: Order) -> WatchPlanResponse {
    let options = Options {
        lockout: order.choices.lockout,
        ..Options::default()
    };
    let running = Plan {
        name: proto::name::plan(&order.tenant, &order.id),
        state: PlanState::Running as i32,
        options: Some(convert::options(options)),
        protection: Some(ProtectionChoices {
            device_filter: order.choices.workstations.clone().unwrap_or_default(),
            break_glass_ids: Vec::new(),
        }),
        create_time: Some(timestamp(order.asked_at)),
        author: order.author.clone(),
        ..Plan::default()
    };
    let span = tracing::info_span!("protect", tenant = %order.tenant, plan = %order.id);
    let (plans, context) = (context.plans.clone(), context.clone());
    let making = running.clone();
    make_plan::in_background(&plans, running, span, |job| async move {
        make(&context, vault, &order, making, &job).await
    })
}

async fn make(
    context: &Context,
    vault: TenantVault,
    order: &Order,
    running: Plan,
    job: &Progress<WatchPlanResponse>,
) -> Result<Plan, Error> {
    let deps = &context.deps;
    let record = context.served(&order.tenant).await?;
    let directory = (deps.connect)(&record)?;
    let directory = directory.as_ref();
    job.modify(|value| value.phase = "reading".to_owned());
    // One that was made anew since is registered by its former id.
    let lineage = vault.lineage().await?;
    let break_glass = record.break_glass.iter().map(|id| lineage.current(id));
    let break_glass: Vec<ObjectId> = break_glass.collect();
    let granted = directory.granted().await?;
    let writer = Some(directory.application().to_owned());
    let seen = graph::posture::look(directory, break_glass, writer).await?;
    job.modify(|value| value.phase = "planning".to_owned());
    let wish = Wish {
        seen: &seen,
        workstations: order.choices.workstations.as_deref(),
        lockout: order.choices.lockout,
        granted: granted.as_ref(),
    };
    let mut new_id = || {
        let id = deps.ids.uuid().to_string();
        ObjectId::parse(&id).expect("invariant: a UUID is an id")
    };
    let content = harden(&wish, &mut new_id).map_err(unread)?;
    let mut protection = running.protection.clone().unwrap_or_default();
    protection.break_glass_ids = registered(&record);
    let made = Plan {
        protection: Some(protection),
        risks: content.risks.clone(),
        ..running
    };
    let documents = Documents::new(vault, order.id.clone());
    // No step is about a principal, so it does not matter who holds roles.
    make_plan::store(context, &documents, &record, made, &content, None).await
}

/// Sees to it that the accounts which a plan lets out are those that are registered now.
///
/// # Errors
/// `BreakGlassChanged` where they are not.
pub(crate) fn ensure(plan: &Plan, record: &TenantRecord) -> Result<(), Error> {
    match &plan.protection {
        Some(then) if then.break_glass_ids != registered(record) => {
            let id = plan.name.rsplit('/').next().unwrap_or_default().to_owned();
            Err(Error::BreakGlassChanged { id })
        }
        _ => Ok(()),
    }
}

fn registered(record: &TenantRecord) -> Vec<String> {
    record.break_glass.iter().map(ToString::to_string).collect()
}

fn unread(unread: Unread) -> Error {
    let Unread {
        what,
        why,
        permission,
    } = unread;
    match permission {
        Some(permission) => Error::MayNotRead(format!(
            "{what} cannot be read: the application that writes needs {permission}: {why}"
        )),
        None => Error::Unread(format!("{what} cannot be read: {why}")),
    }
}

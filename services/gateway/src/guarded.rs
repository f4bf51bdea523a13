//! What of an update takes effect at once, and what waits for a second person.
//!
//! Owns the parting of the two: whatever would protect the tenant less is guarded
//! ([`store::Setting`]), and everything else is done at once. The snapshotter stores what
//! is guarded and carries it out.

use std::collections::BTreeMap;
use std::time::Duration;

use model::schedule::Window;
use model::{ObjectId, TenantId, approval, drift, retention, watch};
use proto::v1::guarded_change_service_client::GuardedChangeServiceClient;
use proto::v1::{GuardedChange, GuardedSetting, ProposeChangeRequest, UpdateTenantRequest};
use runtime::replicas::Served;
use store::{Setting, TenantRecord, Webhook};
use tonic::Request;

use crate::error::GatewayError;
use crate::registration;
use crate::request::Passage;
use crate::tenants::Registry;
use crate::webhook;

/// How long the snapshotter may take to store a change.
const PATIENCE: Duration = Duration::from_secs(30);
/// The method's path.
const PROPOSE: &str = "/rewind.v1.GuardedChangeService/ProposeChange";

/// What an update names, read.
#[derive(Debug)]
pub(crate) struct Update {
    name: Option<String>,
    retention: Option<retention::Policy>,
    drift_watch: Option<drift::Watch>,
    audit_watch: Option<watch::Watch>,
    approval: Option<approval::Policy>,
    break_glass: Option<Vec<ObjectId>>,
    webhook: Option<Option<Webhook>>,
    groups: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    schedule: Option<Window>,
}

impl Update {
    /// Reads a request.
    ///
    /// # Errors
    /// Invalid or Denied, naming the field.
    pub(crate) fn read(
        registry: &Registry,
        request: &UpdateTenantRequest,
    ) -> Result<Self, GatewayError> {
        fn read<'a, T>(
            text: Option<&'a String>,
            read: impl FnOnce(&'a str) -> Result<T, GatewayError>,
        ) -> Result<Option<T>, GatewayError> {
            text.map(|text| read(text)).transpose()
        }
        let break_glass = request.break_glass.as_ref();
        let groups = request.groups.as_ref();
        let labels = request.labels.as_ref();
        let webhook = request.webhook.clone();
        Ok(Self {
            name: read(request.display_name.as_ref(), |text| {
                registration::name("display_name", text)
            })?,
            retention: read(request.retention.as_ref(), |text| {
                registration::retention("retention", text)
            })?,
            drift_watch: read(request.drift_watch.as_ref(), |text| {
                registration::watch("drift_watch", text)
            })?,
            audit_watch: read(request.audit_watch.as_ref(), |text| {
                registration::watch("audit_watch", text)
            })?,
            approval: read(request.approval.as_ref(), |text| {
                registration::approval("approval", text)
            })?,
            schedule: read(request.schedule.as_ref(), |text| {
                registration::schedule("schedule", text)
            })?,
            break_glass: break_glass
                .map(|it| registration::break_glass("break_glass.ids", &it.ids))
                .transpose()?,
            webhook: webhook.map(|told| registry.webhook(told)).transpose()?,
            groups: groups
                .map(|it| registration::groups("groups.names", &it.names))
                .transpose()?,
            labels: labels
                .map(|it| registration::labels("labels.labels", &it.labels))
                .transpose()?,
        })
    }

    /// Writes what is named into a registration.
    pub(crate) fn write(&self, record: &mut TenantRecord) {
        fn write<T: Clone>(from: Option<&T>, to: &mut T) {
            if let Some(from) = from {
                to.clone_from(from);
            }
        }
        write(self.name.as_ref(), &mut record.name);
        write(self.retention.as_ref(), &mut record.retention);
        write(self.drift_watch.as_ref(), &mut record.drift_watch);
        write(self.audit_watch.as_ref(), &mut record.audit_watch);
        write(self.approval.as_ref(), &mut record.approval);
        write(self.break_glass.as_ref(), &mut record.break_glass);
        write(self.groups.as_ref(), &mut record.groups);
        write(self.labels.as_ref(), &mut record.labels);
        write(self.schedule.as_ref(), &mut record.schedule);
        if let Some(wanted) = &self.webhook {
            let before = record.webhook.as_ref();
            record.webhook = webhook::at_the_time_of(wanted.clone(), before);
        }
    }
}

/// A registration without what would protect less, and that.
pub(crate) fn parted(
    before: &TenantRecord,
    wanted: TenantRecord,
) -> (TenantRecord, Vec<GuardedSetting>) {
    let (mut now, mut guarded) = (wanted.clone(), Vec::new());
    for setting in Setting::ALL {
        if setting.protects_less(before, &wanted) {
            setting.copy(before, &mut now);
            guarded.push(GuardedSetting {
                field: setting.name().to_owned(),
                before: setting.of(before),
                after: setting.of(&wanted),
            });
        }
    }
    (now, guarded)
}

/// Lets the snapshotter store what would protect less.
///
/// # Errors
/// Its error; Unavailable where it is out of reach.
pub(crate) async fn propose(
    snapshotter: Served,
    tenant: &TenantId,
    settings: Vec<GuardedSetting>,
    request_id: String,
    passage: &Passage,
) -> Result<GuardedChange, GatewayError> {
    let mut request = Request::new(ProposeChangeRequest {
        parent: proto::name::tenant(tenant),
        settings,
        request_id,
    });
    passage.write(request.metadata_mut().as_mut(), PROPOSE, tenant.as_str());
    request.set_timeout(PATIENCE);
    let answer = GuardedChangeServiceClient::new(snapshotter)
        .propose_change(request)
        .await;
    match answer {
        Ok(answer) => answer
            .into_inner()
            .change
            .ok_or_else(|| GatewayError::Internal("a change was not stored".to_owned())),
        Err(status) => Err(GatewayError::Remote(runtime::status::parse(&status))),
    }
}

//! The settings of a registration that protect the tenant, as text, and whether a change
//! of one protects less.
//!
//! Owns which settings these are. What becomes of a change that protects less, others
//! say.

use std::fmt;

use chrono::{DateTime, Utc};
use model::ObjectId;
use model::drift::Severity;
use serde::{Deserialize, Serialize};

use super::{TenantRecord, Webhook};

/// A setting that protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Which snapshots are kept.
    Retention,
    /// Which restore plans need a second person.
    Approval,
    /// The accounts that a restore never locks out, and that are watched.
    BreakGlass,
    /// What is watched after each daily snapshot.
    DriftWatch,
    /// What is watched in the audit log.
    AuditWatch,
    /// Where signals are sent.
    Webhook,
}

/// The text of a setting cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct InvalidSetting {
    /// Which.
    pub setting: Setting,
    /// What is wrong with it.
    pub problem: String,
}

/// A webhook as text.
#[derive(Debug, Serialize, Deserialize)]
struct Receiver {
    url: String,
    secret: String,
    min_severity: String,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Retention,
        Self::Approval,
        Self::BreakGlass,
        Self::DriftWatch,
        Self::AuditWatch,
        Self::Webhook,
    ];

    /// As the contract names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Approval => "approval",
            Self::BreakGlass => "break_glass",
            Self::DriftWatch => "drift_watch",
            Self::AuditWatch => "audit_watch",
            Self::Webhook => "webhook",
        }
    }

    /// The setting of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// As a sentence has it.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Retention => "which snapshots are kept",
            Self::Approval => "which restore plans need a second person",
            Self::BreakGlass => "the accounts that no restore locks out",
            Self::DriftWatch => "what is watched after each daily snapshot",
            Self::AuditWatch => "what is watched in the audit log",
            Self::Webhook => "where signals are sent",
        }
    }

    /// Whether a tenant is protected less after a change of it.
    #[must_use]
    pub fn protects_less(self, before: &TenantRecord, after: &TenantRecord) -> bool {
        match self {
            Self::Retention => after.retention.keeps_less_than(&before.retention),
            Self::Approval => after.approval.asks_less_than(&before.approval),
            Self::BreakGlass => {
                let mut ids = before.break_glass.iter();
                ids.any(|id| !after.break_glass.contains(id))
            }
            Self::DriftWatch => after.drift_watch.sees_less_than(&before.drift_watch),
            Self::AuditWatch => after.audit_watch.sees_less_than(&before.audit_watch),
            Self::Webhook => tells_less(before.webhook.as_ref(), after.webhook.as_ref()),
        }
    }

    /// A setting as text.
    #[must_use]
    pub fn of(self, record: &TenantRecord) -> String {
        match self {
            Self::Retention => record.retention.to_string(),
            Self::Approval => record.approval.to_string(),
            Self::BreakGlass => {
                let ids: Vec<&str> = record.break_glass.iter().map(ObjectId::as_str).collect();
                ids.join(",")
            }
            Self::DriftWatch => record.drift_watch.to_string(),
            Self::AuditWatch => record.audit_watch.to_string(),
            Self::Webhook => record.webhook.as_ref().map_or_else(String::new, text),
        }
    }

    /// Takes a setting from one registration into another.
    pub fn copy(self, from: &TenantRecord, to: &mut TenantRecord) {
        match self {
            Self::Retention => to.retention = from.retention,
            Self::Approval => to.approval = from.approval,
            Self::BreakGlass => to.break_glass.clone_from(&from.break_glass),
            Self::DriftWatch => to.drift_watch.clone_from(&from.drift_watch),
            Self::AuditWatch => to.audit_watch.clone_from(&from.audit_watch),
            Self::Webhook => to.webhook.clone_from(&from.webhook),
        }
    }

    /// Sets it from its text; a new webhook gets what is raised from `now` on.
    ///
    /// # Errors
    /// [`InvalidSetting`] where it is none.
    pub fn set(
        self,
        record: &mut TenantRecord,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<(), InvalidSetting> {
        let invalid = |error: &dyn fmt::Display| InvalidSetting {
            setting: self,
            problem: error.to_string(),
        };
        match self {
            Self::Retention => record.retention = text.parse().map_err(|e| invalid(&e))?,
            Self::Approval => record.approval = text.parse().map_err(|e| invalid(&e))?,
            Self::DriftWatch => record.drift_watch = text.parse().map_err(|e| invalid(&e))?,
            Self::AuditWatch => record.audit_watch = text.parse().map_err(|e| invalid(&e))?,
            Self::BreakGlass => {
                let ids = text.split(',').filter(|id| !id.is_empty());
                let ids = ids.map(ObjectId::parse).collect::<Result<_, _>>();
                record.break_glass = ids.map_err(|e| invalid(&e))?;
            }
            Self::Webhook if text.is_empty() => record.webhook = None,
            Self::Webhook => {
                let told: Receiver = serde_json::from_str(text).map_err(|e| invalid(&e))?;
                let min_severity = Severity::from_name(&told.min_severity)
                    .ok_or_else(|| invalid(&"its severity is unknown"))?;
                record.webhook = Some(Webhook {
                    url: told.url,
                    secret: told.secret,
                    min_severity,
                    since: record.webhook.as_ref().map_or(now, |it| it.since),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether whoever is told now could miss something: told elsewhere, signed by what
/// they may not know, or of severe signals alone.
fn tells_less(before: Option<&Webhook>, after: Option<&Webhook>) -> bool {
    match (before, after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => {
            (&before.url, &before.secret) != (&after.url, &after.secret)
                || after.min_severity > before.min_severity
        }
    }
}

fn text(webhook: &Webhook) -> String {
    let told = Receiver {
        url: webhook.url.clone(),
        secret: webhook.secret.clone(),
        min_severity: webhook.min_severity.name().to_owned(),
    };
    serde_json::to_string(&told).expect("invariant: three texts are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant_record::tests::record;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).expect("a time")
    }

    fn set(record: &TenantRecord, setting: Setting, text: &str) -> TenantRecord {
        let mut changed = record.clone();
        setting.set(&mut changed, text, at(9)).expect(text);
        changed
    }

    #[test]
    fn every_setting_is_its_text_and_protects_less_one_way_only() {
        let (one, two) = (
            "11111111-0000-4000-8000-000000000000",
            "22222222-0000-4000-8000-000000000000",
        );
        let both = format!("{one},{two}");
        let hook = |url: &str, secret: &str, severity: &str| {
            format!("{{\"url\":\"{url}\",\"secret\":\"{secret}\",\"min_severity\":\"{severity}\"}}")
        };
        let low = hook("https://a.example/", "env:A", "low");
        let cases: [(Setting, &str, &str); 9] = [
            (
                Setting::Retention,
                "recent=9,days=0,weeks=0,months=0,floor-days=0,minimum=1",
                "recent=5,days=0,weeks=0,months=0,floor-days=0,minimum=1",
            ),
            (Setting::Approval, "on", "off"),
            (Setting::BreakGlass, &both, two),
            (Setting::DriftWatch, "on", "off"),
            (Setting::AuditWatch, "on", "on,hard-delete=off"),
            (Setting::Webhook, &low, ""),
            (
                Setting::Webhook,
                &low,
                &hook("https://a.example/", "env:A", "high"),
            ),
            (
                Setting::Webhook,
                &low,
                &hook("https://b.example/", "env:A", "low"),
            ),
            (
                Setting::Webhook,
                &low,
                &hook("https://a.example/", "env:B", "low"),
            ),
        ];
        for (setting, strong, weak) in cases {
            let (strong_one, weak_one) = (
                set(&record(), setting, strong),
                set(&record(), setting, weak),
            );
            assert_eq!(setting.of(&strong_one), strong);
            assert_eq!(setting.of(&weak_one), weak);
            assert!(
                setting.protects_less(&strong_one, &weak_one),
                "{setting} {weak}"
            );
            assert!(
                !setting.protects_less(&strong_one, &strong_one),
                "{setting}"
            );
            for other in Setting::ALL.into_iter().filter(|other| *other != setting) {
                assert!(!other.protects_less(&strong_one, &weak_one), "{other}");
            }
            let mut copied = weak_one.clone();
            setting.copy(&strong_one, &mut copied);
            assert_eq!(setting.of(&copied), strong);
            assert_eq!(Setting::from_name(setting.name()), Some(setting));
        }
        let hooked = set(&record(), Setting::Webhook, &low);
        assert!(!Setting::Webhook.protects_less(&record(), &hooked));
    }

    #[test]
    fn what_is_no_setting_is_refused_and_a_webhook_keeps_its_time() {
        for setting in [
            Setting::Retention,
            Setting::Approval,
            Setting::BreakGlass,
            Setting::DriftWatch,
            Setting::AuditWatch,
            Setting::Webhook,
        ] {
            let error = setting.set(&mut record(), "never mind", at(0));
            assert_eq!(error.expect_err("refused").setting, setting);
        }
        let told = |url: &str| {
            format!("{{\"url\":\"{url}\",\"secret\":\"env:A\",\"min_severity\":\"low\"}}")
        };
        let mut one = record();
        Setting::Webhook
            .set(&mut one, &told("https://a.example/"), at(1))
            .expect("set");
        Setting::Webhook
            .set(&mut one, &told("https://b.example/"), at(2))
            .expect("set");
        assert_eq!(one.webhook.expect("there").since, at(1));
    }
}

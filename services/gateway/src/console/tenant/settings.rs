//! A tenant's settings: shown, and those that can be changed.
//!
//! Owns the form. What is fit is judged by the registry alone, which names the field.

use crate::console::asked::{Asked, words};
use crate::console::filters;
use crate::console::form::Form;
use crate::console::frame::{Answer, Frame, Section, page, see};
use crate::console::session::Visit;
use askama::Template;
use proto::v1;
use proto::v1::Severity;

#[derive(Template)]
#[template(path = "settings/show.html")]
struct Show {
    frame: Frame,
    path: String,
    check: String,
    tenant: v1::Tenant,
    apps: Vec<App>,
    break_glass: String,
    webhook: v1::Webhook,
    severities: Vec<Choice>,
    groups: String,
    saved: bool,
    pending: bool,
}

/// An application of the tenant.
struct App {
    title: &'static str,
    client_id: String,
    proof: String,
}

/// A severity that can be chosen.
struct Choice {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

const SEVERITIES: [(Severity, &str, &str); 4] = [
    (Severity::Low, "low", "All"),
    (Severity::Medium, "medium", "Medium and above"),
    (Severity::High, "high", "High and above"),
    (Severity::Critical, "critical", "Critical only"),
];

pub(super) async fn show(at: Visit, asked: Asked) -> Answer {
    let webhook = at.tenant.webhook.clone().unwrap_or_default();
    let chosen = match webhook.min_severity() {
        Severity::Unspecified => Severity::Low,
        severity => severity,
    };
    let severities = SEVERITIES.map(|(severity, value, label)| Choice {
        value,
        label,
        is_chosen: severity == chosen,
    });
    page(&Show {
        frame: at.frame(Section::Settings, "Settings"),
        path: at.path("/settings"),
        check: at.path("/check"),
        apps: apps(&at.tenant),
        break_glass: at.tenant.break_glass_ids.join("\n"),
        severities: severities.into(),
        groups: at.tenant.groups.join(", "),
        saved: asked.is_set("saved"),
        pending: asked.is_set("pending"),
        tenant: at.tenant,
        webhook,
    })
}

fn apps(tenant: &v1::Tenant) -> Vec<App> {
    let app = |title, app: &v1::AppCredential| App {
        title,
        client_id: app.client_id.clone(),
        proof: proof(app),
    };
    let reader = tenant
        .reader
        .as_ref()
        .map(|it| app("Reads (snapshots, reports)", it));
    let writer = tenant
        .writer
        .as_ref()
        .map(|it| app("Writes (restores)", it));
    reader.into_iter().chain(writer).collect()
}

/// What the application proves itself with; only where that is, never what it is.
fn proof(app: &v1::AppCredential) -> String {
    if app.installation {
        return "the installation's own application".to_owned();
    }
    let named = [
        ("secret", &app.secret_ref),
        ("certificate", &app.certificate_ref),
        ("federated token", &app.federated_token_ref),
    ];
    let found = named
        .into_iter()
        .find(|(_, reference)| !reference.is_empty());
    found.map_or_else(
        || "nothing".to_owned(),
        |(kind, reference)| format!("{kind} at {reference}"),
    )
}

pub(super) async fn change(at: Visit, form: Form) -> Answer {
    let request = request(at.name(), &form);
    let answer = at.session.tenants().update_tenant(request).await?;
    // What would protect less waits for a second person, and is not saved yet.
    let told = match answer.into_inner().pending_change {
        Some(_) => "pending",
        None => "saved",
    };
    see(&at.path(&format!("/settings?{told}=1")))
}

/// What a form changes: the fields that it has, and no others.
fn request(name: String, form: &Form) -> v1::UpdateTenantRequest {
    let text = |field: &str| form.is_set(field).then(|| form.text(field).to_owned());
    let break_glass = form
        .is_set("break_glass_ids")
        .then(|| v1::BreakGlassAccounts {
            ids: words(form.text("break_glass_ids")),
        });
    let groups = form.is_set("groups").then(|| v1::TenantGroups {
        names: words(form.text("groups")),
    });
    let webhook = form.is_set("webhook_url").then(|| v1::Webhook {
        url: form.text("webhook_url").to_owned(),
        secret_ref: form.text("webhook_secret_ref").to_owned(),
        min_severity: severity(form.text("webhook_min_severity")).into(),
        since_time: None,
    });
    v1::UpdateTenantRequest {
        name,
        display_name: text("display_name"),
        groups,
        schedule: text("schedule"),
        retention: text("retention"),
        drift_watch: text("drift_watch"),
        audit_watch: text("audit_watch"),
        approval: text("approval"),
        break_glass,
        webhook,
        request_id: form.request_id(),
        ..v1::UpdateTenantRequest::default()
    }
}

fn severity(value: &str) -> Severity {
    let found = SEVERITIES.into_iter().find(|(_, name, _)| *name == value);
    found.map_or(Severity::Unspecified, |(severity, _, _)| severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_form_has_is_changed() {
        let form = |pairs: &[(&str, &str)]| Form::of(pairs);
        let nothing = request("tenants/t".to_owned(), &form(&[("request_id", "r")]));
        assert_eq!(
            nothing,
            v1::UpdateTenantRequest {
                name: "tenants/t".to_owned(),
                request_id: "r".to_owned(),
                ..v1::UpdateTenantRequest::default()
            }
        );
        let all = request(
            "tenants/t".to_owned(),
            &form(&[
                ("drift_watch", "off"),
                ("break_glass_ids", "a\r\nb"),
                ("groups", "gold, emea"),
                ("webhook_url", "https://hook.example/x"),
                ("webhook_secret_ref", "env:X"),
                ("webhook_min_severity", "high"),
            ]),
        );
        assert_eq!(all.drift_watch.as_deref(), Some("off"));
        assert_eq!((all.approval, all.retention), (None, None));
        assert_eq!(all.groups.expect("named").names, ["gold", "emea"]);
        assert_eq!(all.break_glass.expect("named").ids, ["a", "b"]);
        assert_eq!(all.webhook.expect("named").min_severity(), Severity::High);
        let emptied = request("tenants/t".to_owned(), &form(&[("break_glass_ids", "")]));
        assert_eq!(emptied.break_glass, Some(v1::BreakGlassAccounts::default()));
    }

    #[test]
    fn a_credential_is_told_by_its_place() {
        let app = |change: fn(&mut v1::AppCredential)| {
            let mut app = v1::AppCredential::default();
            change(&mut app);
            proof(&app)
        };
        assert_eq!(
            app(|it| it.installation = true),
            "the installation's own application"
        );
        assert_eq!(
            app(|it| it.secret_ref = "env:A".to_owned()),
            "secret at env:A"
        );
        assert_eq!(app(|_| ()), "nothing");
    }
}

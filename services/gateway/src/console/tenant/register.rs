//! Registering a tenant.
//!
//! Owns the form. What is fit is judged by the registry alone, which names the field; no
//! secret is ever entered, only where one is.

use crate::console::asked::words;
use crate::console::error::PageError;
use crate::console::filters;
use crate::console::form::Form;
use crate::console::frame::{Answer, Frame, Section, page, see};
use crate::console::session::Session;
use askama::Template;
use model::TenantId;
use proto::v1;

/// The clouds, with the words for them.
const CLOUDS: [(&str, &str); 4] = [
    ("global", "Global"),
    ("usgov", "US Government"),
    ("usgov-dod", "US Government DoD"),
    ("china", "China"),
];

#[derive(Template)]
#[template(path = "tenant/register.html")]
struct Register {
    frame: Frame,
    clouds: [(&'static str, &'static str); 4],
}

pub(super) async fn form(session: Session) -> Answer {
    page(&Register {
        frame: session.frame(Section::Tenants, "Register a tenant"),
        clouds: CLOUDS,
    })
}

pub(super) async fn register(session: Session, form: Form) -> Answer {
    let id = TenantId::parse(form.text("id"))
        .map_err(|_| PageError::invalid("id", "the tenant's GUID is expected"))?;
    let request = v1::CreateTenantRequest {
        tenant: Some(tenant(&id, &form)),
        request_id: form.request_id(),
        validate_only: false,
    };
    session.tenants().create_tenant(request).await?;
    see(&format!("/tenants/{id}/check"))
}

fn tenant(id: &TenantId, form: &Form) -> v1::Tenant {
    v1::Tenant {
        id: id.to_string(),
        display_name: form.text("display_name").to_owned(),
        cloud: form.text("cloud").to_owned(),
        reader: application(form, "reader"),
        writer: application(form, "writer"),
        break_glass_ids: words(form.text("break_glass_ids")),
        retention: form.text("retention").to_owned(),
        ..v1::Tenant::default()
    }
}

/// An application of the tenant's own; nothing where the installation's is meant.
fn application(form: &Form, name: &str) -> Option<v1::AppCredential> {
    let (client_id, reference) = (format!("{name}_client_id"), format!("{name}_reference"));
    let client_id = form.given(&client_id)?.to_owned();
    let reference = form.text(&reference).to_owned();
    let mut app = v1::AppCredential {
        client_id,
        ..v1::AppCredential::default()
    };
    match form.text(&format!("{name}_proof")) {
        "certificate" => app.certificate_ref = reference,
        "federated" => app.federated_token_ref = reference,
        _ => app.secret_ref = reference,
    }
    Some(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_without_an_id_is_the_installations() {
        let id = TenantId::parse("0a1b2c3d-0000-4000-8000-00000000000a").expect("valid");
        let form = Form::of(&[
            ("display_name", "Contoso"),
            ("cloud", "usgov"),
            ("reader_client_id", "c-1"),
            ("reader_proof", "certificate"),
            ("reader_reference", "file:contoso.pem"),
            ("writer_client_id", " "),
            ("writer_reference", "env:X"),
            ("break_glass_ids", "a b"),
        ]);
        let tenant = tenant(&id, &form);
        let reader = tenant.reader.expect("of its own");
        assert_eq!(
            (reader.client_id.as_str(), reader.certificate_ref.as_str()),
            ("c-1", "file:contoso.pem")
        );
        assert!(reader.secret_ref.is_empty());
        assert_eq!(tenant.writer, None);
        assert_eq!(tenant.break_glass_ids, ["a", "b"]);
        assert_eq!(tenant.cloud, "usgov");
    }
}

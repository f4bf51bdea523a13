//! Whether Rewind's applications can do their work in the tenant.

use crate::console::filters;
use crate::console::frame::{Answer, Frame, Section, page};
use crate::console::session::Visit;
use askama::Template;
use proto::v1;
use proto::v1::CheckItem;

#[derive(Template)]
#[template(path = "tenant/check.html")]
struct Check {
    frame: Frame,
    path: String,
    items: Vec<CheckItem>,
    can_snapshot: bool,
    can_restore: bool,
}

impl Check {
    /// Where an administrator of the tenant consents to what is missing; only an address
    /// that a browser can open.
    fn consent<'a>(&self, item: &'a CheckItem) -> Option<&'a str> {
        let url = item.consent_url.as_str();
        let opens = url.starts_with("https://") || url.starts_with("http://");
        opens.then_some(url)
    }
}

pub(super) async fn show(at: Visit) -> Answer {
    let request = v1::CheckTenantRequest { name: at.name() };
    let answer = at.session.tenants().check_tenant(request).await?;
    let answer = answer.into_inner();
    page(&Check {
        frame: at.frame(Section::Settings, "Access check"),
        path: at.path("/settings"),
        items: answer.items,
        can_snapshot: answer.can_snapshot,
        can_restore: answer.can_restore,
    })
}

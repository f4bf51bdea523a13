//! What every page stands in.
//!
//! Owns the navigation, what of it a caller is shown, and how a template becomes an
//! answer. What is not shown is refused at the door all the same.

use super::assets;
use super::error::PageError;
use super::form::{CSRF, REQUEST_ID};
use super::session::Session;
use askama::Template;
use askama::filters::HtmlSafe;
use axum::response::{Html, IntoResponse, Redirect, Response};
use model::TenantId;
use proto::v1;
use proto::v1::Role;

/// What a handler answers.
pub(crate) type Answer = Result<Response, PageError>;

/// Which part of the console a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Everything outside the others.
    Elsewhere,
    /// The overview of tenants.
    Tenants,
    /// The first page of a tenant.
    Tenant,
    /// Its snapshots, and what is in them.
    Snapshots,
    /// Its difference reports.
    Reports,
    /// Its plans and restores.
    Restores,
    /// Its recycle bin.
    Deleted,
    /// Its protection against hard deletion.
    Protection,
    /// Its signals.
    Signals,
    /// What was asked for that protects it less.
    Changes,
    /// Its settings.
    Settings,
}

/// Which parts a tenant has, in which order, and what their path ends with.
const OF_A_TENANT: [(Section, &str, &str); 9] = [
    (Section::Tenant, "Overview", ""),
    (Section::Snapshots, "Snapshots", "/snapshots"),
    (Section::Reports, "Difference reports", "/reports"),
    (Section::Restores, "Restore", "/restores"),
    (Section::Deleted, "Recycle bin", "/deleted"),
    (Section::Protection, "Hard-delete protection", "/protection"),
    (Section::Signals, "Signals", "/signals"),
    (Section::Changes, "Guarded changes", "/changes"),
    (Section::Settings, "Settings", "/settings"),
];

/// The tenant that a page is about.
#[derive(Debug, Clone)]
pub(crate) struct TenantHead {
    /// Its id.
    pub(crate) id: String,
    /// What people call it; its id where it has no name.
    pub(crate) name: String,
}

impl TenantHead {
    pub(crate) fn of(id: &TenantId, tenant: &v1::Tenant) -> Self {
        let name = match tenant.display_name.trim() {
            "" => id.to_string(),
            name => name.to_owned(),
        };
        Self {
            id: id.to_string(),
            name,
        }
    }
}

/// What every page's template holds as its field `frame`.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The page's title and first heading.
    pub(crate) title: String,
    /// Who looks; nobody on the page where one signs in.
    pub(crate) session: Option<Session>,
    /// The tenant that the page is about.
    pub(crate) tenant: Option<TenantHead>,
    section: Section,
}

/// An entry of the navigation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) href: String,
    pub(crate) label: &'static str,
    pub(crate) is_here: bool,
}

impl Frame {
    pub(super) fn new(
        title: String,
        session: Option<Session>,
        tenant: Option<TenantHead>,
        section: Section,
    ) -> Self {
        Self {
            title,
            session,
            tenant,
            section,
        }
    }

    /// The fields that every form carries: `{{ frame.hidden() }}` first thing inside
    /// `<form method="post">`.
    pub(crate) fn hidden(&self) -> Hidden {
        let session = self.session.as_ref();
        Hidden {
            csrf: session.map(|it| it.csrf.clone()).unwrap_or_default(),
            request_id: session.map(Session::fresh_id).unwrap_or_default(),
        }
    }

    /// Where style and script are.
    pub(crate) fn assets(&self) -> &'static assets::Paths {
        assets::paths()
    }

    /// Whether whoever looks has the role.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.session.as_ref().is_some_and(|it| it.may(role))
    }

    /// Whether whoever looks may take snapshots, make reports and restore.
    pub(crate) fn may_administer(&self) -> bool {
        self.may(Role::Administrator)
    }

    /// Whether whoever looks may change settings.
    pub(crate) fn may_operate(&self) -> bool {
        self.may(Role::Operator)
    }

    /// The parts of the tenant that whoever looks may read.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let Some(tenant) = &self.tenant else {
            return Vec::new();
        };
        let shown = OF_A_TENANT
            .into_iter()
            .filter(|(section, _, _)| self.is_readable(*section));
        shown
            .map(|(section, label, rest)| Entry {
                href: format!("/tenants/{}{rest}", tenant.id),
                label,
                is_here: section == self.section,
            })
            .collect()
    }

    fn is_readable(&self, section: Section) -> bool {
        let reads = self.may(Role::Reader) || self.may(Role::Administrator);
        match section {
            Section::Restores | Section::Reports => reads || self.may(Role::Approver),
            Section::Snapshots | Section::Deleted => reads,
            _ => true,
        }
    }
}

/// The hidden fields of a form.
#[derive(Template)]
#[template(
    source = r#"<input type="hidden" name="{{ CSRF }}" value="{{ csrf }}"><input type="hidden" name="{{ REQUEST_ID }}" value="{{ request_id }}">"#,
    ext = "html"
)]
pub(crate) struct Hidden {
    csrf: String,
    request_id: String,
}

impl HtmlSafe for Hidden {}

/// A page, or a fragment of one, as an answer.
///
/// # Errors
/// Where the template cannot be rendered, which is a defect.
pub(crate) fn page(template: &impl Template) -> Answer {
    let text = template.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        PageError::internal()
    })?;
    Ok(Html(text).into_response())
}

/// Sends the browser to another page after a form was dealt with, so that loading that
/// one again sends nothing again.
pub(crate) fn see(path: &str) -> Answer {
    Ok(Redirect::to(path).into_response())
}

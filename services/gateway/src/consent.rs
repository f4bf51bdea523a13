//! The installation's own applications, as far as the gateway knows them, and
//! where an administrator of a tenant consents to an application.
//!
//! Owns their client ids, which are no secrets. It never learns what they prove
//! themselves with.

use model::{Application, Cloud};
use runtime::config::{ConfigError, Settings};
use runtime::credentials::Kind;
use store::TenantRecord;
use url::Url;

/// The applications that an installation has for all its tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applications {
    /// `REWIND_READER_CLIENT_ID`.
    pub reader: Option<String>,
    /// `REWIND_WRITER_CLIENT_ID`.
    pub writer: Option<String>,
    /// `REWIND_CONSENT_REDIRECT_URL`: where the login host sends an
    /// administrator who has consented; it has to be registered with each
    /// application. Without it, the login host takes the first one registered.
    pub redirect_url: Option<String>,
}

impl Applications {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            reader: settings.text("REWIND_READER_CLIENT_ID"),
            writer: settings.text("REWIND_WRITER_CLIENT_ID"),
            redirect_url: settings.url("REWIND_CONSENT_REDIRECT_URL")?,
        })
    }

    /// The client id of an application; `None` where the installation has none.
    pub(crate) fn client_id<'a>(
        &'a self,
        kind: Kind,
        application: &'a Application,
    ) -> Option<&'a str> {
        match (application, kind) {
            (Application::Own { client_id, .. }, _) => Some(client_id),
            (Application::Installation, Kind::Reader) => self.reader.as_deref(),
            (Application::Installation, Kind::Writer) => self.writer.as_deref(),
            (Application::Installation, Kind::Webhook) => None,
        }
    }

    /// Where an administrator of the tenant consents to one of its applications;
    /// `None` where there is no such application. Once there, the state comes
    /// back with the answer and tells which one it was.
    ///
    /// Facts: "Admin consent on the Microsoft identity platform".
    pub(crate) fn consent_url(&self, record: &TenantRecord, kind: Kind) -> Option<String> {
        let application = match kind {
            Kind::Reader => &record.reader,
            Kind::Writer => record.writer.as_ref()?,
            Kind::Webhook => return None,
        };
        let client_id = self.client_id(kind, application)?;
        let login = match &record.login_url {
            Some(own) => own.as_str(),
            None => Cloud::from_name(&record.cloud)?.login_url(),
        };
        let login = login.trim_end_matches('/');
        let mut url = Url::parse(&format!("{login}/{}/adminconsent", record.id)).ok()?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_id", client_id);
            if let Some(redirect_url) = &self.redirect_url {
                query.append_pair("redirect_uri", redirect_url);
            }
            query.append_pair("state", kind.name());
        }
        Some(url.into())
    }
}

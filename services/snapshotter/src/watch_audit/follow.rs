//! One tenant: takes it, reads its log from where it was left, and raises what the
//! rules find.
//!
//! The log shows what was done up to an hour late and in no order. So each reading
//! begins an hour before the last one, and another before that for the rules that count
//! within an hour; what comes twice is found under the same name. A reading that fails
//! moves nothing on. What lies far back is read in parts, so that catching up goes on
//! where it was broken off.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use graph::{Directory, GraphError, Query};
use model::audit::{self, LATE};
use model::catalogue::creation::Key;
use model::licence::Licence;
use model::watch::{Finding, Ground, LOG_GAP, Tally, WINDOW};
use model::{ErrorKind, Object, ObjectType, SignalId, TenantId};
use runtime::status::Fault;
use store::{KeyError, StoreError, TenantRecord, TenantState, TenantVault};

use super::cursor::{self, Cursor, Stored};
use super::{Follower, tell};
use crate::{Context, Error, signals};

/// How long a process has a tenant before it must say so again. If it dies, another
/// goes on after that.
const HOLD: TimeDelta = TimeDelta::hours(1);
/// When less than this is left, it says so again.
const RENEWAL: TimeDelta = TimeDelta::minutes(30);
/// How long before its end a hold is given up: more than clocks differ.
const MARGIN: TimeDelta = TimeDelta::minutes(2);
/// How old what is known of a tenant's registration may be, and of who follows it.
const REGISTRATION: TimeDelta = TimeDelta::minutes(15);
/// How old what is known of its licence and of Rewind's applications in it may be.
const SURROUNDINGS: TimeDelta = TimeDelta::days(1);
/// How long a tenant rests that is not to be followed, or does not let itself be read.
const REST: TimeDelta = TimeDelta::hours(1);
/// How much of the log is read before what was found is told and kept.
const PART: TimeDelta = TimeDelta::hours(6);
/// How many signals are raised at once.
const AT_ONCE: usize = 8;

/// What this process knows of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    hold: Option<Hold>,
}

/// A tenant that this process follows.
#[derive(Debug)]
struct Hold {
    vault: TenantVault,
    record: TenantRecord,
    /// When the registration was read.
    registered: DateTime<Utc>,
    cursor: Cursor,
    surroundings: Option<Surroundings>,
    /// What was raised and may be found again, with its time.
    told: HashMap<SignalId, DateTime<Utc>>,
}

/// What is known of a tenant by asking it.
#[derive(Debug)]
struct Surroundings {
    licence: Licence,
    own: HashSet<String>,
    asked: DateTime<Utc>,
}

/// Whether a tenant can be had.
enum Taken {
    Held(Box<Hold>),
    /// Not before then.
    NotBefore(DateTime<Utc>),
}

impl Followed {
    /// Looks what is new; when to look again.
    pub(crate) async fn look(&mut self, of: &Follower, tenant: &TenantId) -> DateTime<Utc> {
        let looked = self.try_look(of, tenant).await;
        let now = of.context.deps.clock.now();
        let error = match looked {
            Ok(next) => return next,
            // There is nothing to be read, and nothing wrong.
            Err(Error::Store(StoreError::Key(KeyError::Erased) | StoreError::NotFound { .. })) => {
                self.hold = None;
                return now + REST;
            }
            Err(error) => error,
        };
        of.context.metrics.audit_watch_failed(tenant);
        let rest = if error.kind() == ErrorKind::Denied {
            REST
        } else {
            of.every
        };
        tracing::warn!(
            %tenant,
            error = runtime::status::chain(&error),
            again_in_seconds = rest.num_seconds(),
            "the audit log could not be followed; nothing of it is lost for now"
        );
        now + rest
    }

    async fn try_look(&mut self, of: &Follower, tenant: &TenantId) -> Result<DateTime<Utc>, Error> {
        let deps = &of.context.deps;
        let now = deps.clock.now();
        if self.hold.as_ref().is_none_or(|hold| !hold.lasts(now)) {
            self.forget(of, tenant);
            match take(of, tenant, now).await? {
                Taken::Held(hold) => self.hold = Some(*hold),
                Taken::NotBefore(at) => return Ok(at),
            }
        }
        let Some(hold) = &mut self.hold else {
            return Ok(now + of.every);
        };
        if now - hold.registered >= REGISTRATION {
            hold.record = deps.vault.registered(tenant).await?;
            // Its keys may be others, or none any more.
            hold.vault = deps.vault.tenant(tenant).await?;
            hold.registered = now;
        }
        if !is_wanted(&hold.record) || !hold.is_licensed(&of.context, now).await? {
            self.let_go(of).await;
            return Ok(deps.clock.now() + REST);
        }
        if !hold.read(of).await? {
            tracing::info!(%tenant, "another process follows the audit log");
            self.forget(of, tenant);
        }
        Ok(deps.clock.now() + of.every)
    }

    /// Lets another process follow from now on.
    pub(crate) async fn let_go(&mut self, of: &Follower) {
        let Some(mut hold) = self.hold.take() else {
            return;
        };
        let tenant = hold.record.id.clone();
        of.context.metrics.audit_watch_ended(&tenant);
        let now = of.context.deps.clock.now();
        if hold.lasts(now)
            && let Err(error) = hold.keep(now, now).await
        {
            tracing::warn!(
                %tenant,
                error = runtime::status::chain(&error),
                "the audit log could not be let go of; that ends by itself"
            );
        }
    }

    fn forget(&mut self, of: &Follower, tenant: &TenantId) {
        if self.hold.take().is_some() {
            of.context.metrics.audit_watch_ended(tenant);
        }
    }
}

fn is_wanted(record: &TenantRecord) -> bool {
    record.state == TenantState::Active && record.audit_watch.on
}

/// Takes a tenant that nobody follows.
async fn take(of: &Follower, tenant: &TenantId, now: DateTime<Utc>) -> Result<Taken, Error> {
    let deps = &of.context.deps;
    let vault = deps.vault.tenant(tenant).await?;
    let before = cursor::newest(&vault).await?;
    if let Some(held) = &before
        && held.expires > now
        && held.holder != of.holder
    {
        // Whoever ends lets go before that.
        return Ok(Taken::NotBefore(held.expires.min(now + REGISTRATION)));
    }
    let record = deps.vault.registered(tenant).await?;
    if !is_wanted(&record) {
        return Ok(Taken::NotBefore(now + REGISTRATION));
    }
    let cursor = Cursor {
        number: before.as_ref().map_or(0, |it| it.number) + 1,
        since: before.as_ref().map_or(now, |it| it.since),
        read: before.as_ref().map_or(now, |it| it.read),
        holder: of.holder.clone(),
        expires: now + HOLD,
    };
    if cursor::store(&vault, &cursor).await? == Stored::Theirs {
        return Ok(Taken::NotBefore(now + of.every));
    }
    tracing::info!(%tenant, read = %cursor.read, "the audit log is followed");
    Ok(Taken::Held(Box::new(Hold {
        vault,
        record,
        registered: now,
        cursor,
        surroundings: None,
        told: HashMap::new(),
    })))
}

impl Hold {
    /// Whether nobody else follows for now.
    fn lasts(&self, now: DateTime<Utc>) -> bool {
        self.cursor.expires - MARGIN > now
    }

    /// Keeps how far the log was read, and holds the tenant until then; whether another
    /// process has it meanwhile.
    async fn keep(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<Stored, Error> {
        let next = Cursor {
            number: self.cursor.number + 1,
            expires: until,
            ..self.cursor.clone()
        };
        let stored = cursor::store(&self.vault, &next).await?;
        match stored {
            Stored::Ours => self.cursor = next,
            // It may be this process's, whose answer was lost; to take it anew tells.
            Stored::Theirs => self.cursor.expires = now,
        }
        Ok(stored)
    }

    /// Whether the tenant has a licence, and with that Rewind's applications in it.
    async fn is_licensed(&mut self, context: &Context, now: DateTime<Utc>) -> Result<bool, Error> {
        let known = self.surroundings.as_ref();
        if known.is_none_or(|known| now - known.asked >= SURROUNDINGS) {
            let directory = (context.deps.connect)(&self.record)?;
            let skus = directory.subscribed_skus().await?;
            self.surroundings = Some(Surroundings {
                licence: Licence::from_subscribed_skus(&skus),
                own: own(directory.as_ref(), &self.client_ids(context)).await?,
                asked: now,
            });
        }
        let known = self.surroundings.as_ref();
        Ok(known.is_some_and(|known| known.licence != Licence::None))
    }

    fn client_ids(&self, context: &Context) -> Vec<String> {
        let reader = self.record.reader_id(context.reader_client_id.as_deref());
        let writer = self.record.writer_id(context.writer_client_id.as_deref());
        let ids = reader.into_iter().chain(writer);
        ids.map(str::to_lowercase).collect()
    }

    fn ground(&self, context: &Context) -> Ground {
        let known = self.surroundings.as_ref();
        let ids = self.record.break_glass.iter();
        let writer = self.record.writer_id(context.writer_client_id.as_deref());
        Ground {
            break_glass: ids.map(|id| id.as_str().to_lowercase()).collect(),
            own: known.map(|known| known.own.clone()).unwrap_or_default(),
            writer: writer.map(str::to_owned),
        }
    }

    /// Reads up to now, and tells; whether the tenant is still this process's.
    async fn read(&mut self, of: &Follower) -> Result<bool, Error> {
        let (context, clock) = (&of.context, &of.context.deps.clock);
        let directory = (context.deps.connect)(&self.record)?;
        let ground = self.ground(context);
        loop {
            let now = clock.now();
            if !self.lasts(now) {
                return Ok(false);
            }
            let oldest = now - audit::kept(self.licence());
            // All that was done before was in the log when it was last read.
            let settled = self.cursor.read - LATE;
            let lost = Some(settled.max(self.cursor.since)).filter(|lost| *lost < oldest);
            let until = now.min(settled.max(oldest) + LATE + PART);
            let from = (settled - WINDOW).max(oldest).max(self.cursor.since);
            let mut tally = Tally::new(&self.record.audit_watch, &ground, self.cursor.since);
            gather(directory.as_ref(), from, until, &mut tally).await?;
            if let Some(lost) = lost {
                self.tell_gap(context, lost, oldest).await?;
            }
            self.tell(context, &ground, tally.findings()).await?;
            self.cursor.read = until;
            let reach = until - LATE - WINDOW - WINDOW;
            self.told.retain(|_, time| *time > reach);
            let now = clock.now();
            let behind = until + of.every <= now;
            // Whoever begins again must not tell of a gap anew, nor catch up again.
            if (lost.is_some() || behind || self.cursor.expires - now < RENEWAL)
                && self.keep(now, now + HOLD).await? == Stored::Theirs
            {
                return Ok(false);
            }
            context.metrics.audit_log_read(self.vault.id(), until);
            if !behind {
                return Ok(true);
            }
        }
    }

    fn licence(&self) -> Licence {
        let known = self.surroundings.as_ref();
        known.map_or(Licence::None, |known| known.licence)
    }

    /// Raises what was not raised yet.
    async fn tell(
        &mut self,
        context: &Context,
        ground: &Ground,
        findings: Vec<Finding>,
    ) -> Result<(), Error> {
        let new: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| !self.told.contains_key(&finding.id))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let vault = &self.vault;
        let latest = &tell::latest(vault).await;
        let raise = |finding: Finding| async move {
            let signal = tell::signal(vault, latest.as_ref(), ground, &finding).await;
            let severity = finding.rule.severity;
            signals::raise(context, vault, &finding.id, severity, &signal).await?;
            Ok::<_, Error>((finding.id, finding.time))
        };
        let raised: Vec<_> = stream::iter(new)
            .map(raise)
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        self.told.extend(raised);
        Ok(())
    }

    /// Tells that a part of the log is gone unread. Told when the log was read from
    /// behind it on, so that one gap is one, however often that is tried.
    async fn tell_gap(
        &self,
        context: &Context,
        lost: DateTime<Utc>,
        oldest: DateTime<Utc>,
    ) -> Result<(), Error> {
        tracing::warn!(
            tenant = %self.vault.id(),
            from = %lost,
            until = %oldest,
            "a part of the audit log was not read before the directory gave it up"
        );
        context.metrics.audit_log_lost(self.vault.id());
        let mut watched = self.record.audit_watch.rules();
        if watched.any(|(rule, _)| rule.name == LOG_GAP.name) {
            let (id, signal) = tell::gap(self.vault.id(), lost, oldest);
            signals::raise(context, &self.vault, &id, LOG_GAP.severity, &signal).await?;
        }
        Ok(())
    }
}

/// Judges what the log holds of a time.
async fn gather(
    directory: &dyn Directory,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    tally: &mut Tally<'_>,
) -> Result<(), Error> {
    let mut next = None;
    loop {
        let page = directory.audits(from, until, next.as_ref()).await?;
        if page.malformed > 0 {
            tracing::warn!(
                malformed = page.malformed,
                "entries of the audit log are not understood, and passed over"
            );
        }
        page.records.iter().for_each(|record| tally.see(record));
        match page.next {
            Some(link) => next = Some(link),
            None => return Ok(()),
        }
    }
}

/// The client ids, and the ids of the applications and service principals that have
/// them here; an application of another tenant has a service principal alone.
async fn own(directory: &dyn Directory, client_ids: &[String]) -> Result<HashSet<String>, Error> {
    let mut own: HashSet<String> = client_ids.iter().cloned().collect();
    for client_id in client_ids {
        for object_type in [ObjectType::Application, ObjectType::ServicePrincipal] {
            let query = Query::Keyed {
                object_type,
                key: Key::AppId,
                value: client_id.clone(),
            };
            match directory.page(&query, None).await {
                Ok(page) => {
                    let ids = page
                        .items
                        .iter()
                        .filter_map(|item| Object::id_of(item.get()).ok());
                    own.extend(ids.map(|id| id.as_str().to_lowercase()));
                }
                Err(GraphError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(own)
}

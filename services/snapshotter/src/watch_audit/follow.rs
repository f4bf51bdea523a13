//! One tenant: takes it, reads its log from where it was left, and raises what the
//! rules find.
//!
//! The log shows what was done up to an hour late and in no order. So each reading
//! begins an hour before the last one, and another before that for the rules that count
//! within an hour; what comes twice is found under the same name. A reading that fails
//! moves nothing on. What lies far back is read in parts, one a look, so that catching
//! up goes on where it was broken off and keeps no other tenant waiting.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use graph::{Directory, GraphError, Query};
use model::audit::{self, LATE};
use model::catalogue::creation::Key;
use model::licence::Licence;
use model::watch::{AUDIT_LOG_CLOSED, Finding, Ground, LOG_GAP, Rule, Tally, WINDOW};
use model::{ErrorKind, Object, ObjectType, SignalId, TenantId};
use runtime::status::Fault;
use store::{Area, KeyError, Manifest, StoreError, TenantRecord, TenantState, TenantVault};
use tokio_util::sync::CancellationToken;

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
/// Of how many findings at a time the snapshots are asked, before the hold is renewed.
const TOLD_AT_ONCE: usize = 128;

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
    /// Rewind's applications, by client id: each with that id and those that it has
    /// here.
    own: HashMap<String, HashSet<String>>,
    asked: DateTime<Utc>,
}

/// Whether a tenant can be had.
enum Taken {
    Held(Box<Hold>),
    /// Not before then.
    NotBefore(DateTime<Utc>),
}

/// How a reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// There is no more.
    CaughtUp,
    /// A part was read, and there is more.
    More,
    /// The process ends.
    Stopped,
    /// Another process follows the tenant.
    Lost,
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
        let is_denied = error.kind() == ErrorKind::Denied;
        let rest = if is_denied { REST } else { of.every };
        if is_denied && matches!(error, Error::Graph(_)) {
            self.tell_closed(of).await;
        }
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
        let is_followed = if is_wanted(&hold.record) {
            tokio::select! {
                licensed = hold.is_licensed(&of.context, now) => licensed?,
                () = of.stop.cancelled() => return Ok(now),
            }
        } else {
            false
        };
        if !is_followed {
            self.let_go(of).await;
            return Ok(deps.clock.now() + REST);
        }
        match hold.read(of).await? {
            Read::CaughtUp => {}
            // Behind the others whose time has come.
            Read::More | Read::Stopped => return Ok(deps.clock.now()),
            Read::Lost => {
                tracing::info!(%tenant, "another process follows the audit log");
                self.forget(of, tenant);
            }
        }
        Ok(deps.clock.now() + of.every)
    }

    /// Tells, once, that a log may not be read any more that was read before.
    async fn tell_closed(&mut self, of: &Follower) {
        let Some(hold) = &mut self.hold else {
            return;
        };
        if let Err(error) = hold.tell_closed(&of.context).await {
            tracing::warn!(
                tenant = %hold.record.id,
                error = runtime::status::chain(&error),
                "that the audit log may not be read any more could not be told; this is tried again"
            );
        }
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
        let client_ids = self.client_ids(context);
        let is_stale = |known: &Surroundings| {
            now - known.asked >= SURROUNDINGS
                || client_ids.iter().any(|id| !known.own.contains_key(id))
        };
        if self.surroundings.as_ref().is_none_or(is_stale) {
            let directory = (context.deps.connect)(&self.record)?;
            let skus = directory.subscribed_skus().await?;
            self.surroundings = Some(Surroundings {
                licence: Licence::from_subscribed_skus(&skus),
                own: own(directory.as_ref(), &client_ids).await?,
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
        let known = self.surroundings.iter().flat_map(|known| &known.own);
        let ids = self.record.break_glass.iter();
        let writer = self.record.writer_id(context.writer_client_id.as_deref());
        let writer = writer.map(str::to_lowercase);
        let writers = known
            .clone()
            .filter(|(client_id, _)| Some(*client_id) == writer.as_ref());
        Ground {
            break_glass: ids.map(|id| id.as_str().to_lowercase()).collect(),
            own: known.flat_map(|(_, ids)| ids).cloned().collect(),
            writer: writers
                .flat_map(|(_, ids)| ids)
                .chain(&writer)
                .cloned()
                .collect(),
        }
    }

    /// Reads a part, and tells what it holds.
    async fn read(&mut self, of: &Follower) -> Result<Read, Error> {
        let (context, clock) = (&of.context, &of.context.deps.clock);
        let now = clock.now();
        if !self.lasts(now) {
            return Ok(Read::Lost);
        }
        let directory = (context.deps.connect)(&self.record)?;
        let ground = self.ground(context);
        let oldest = now - audit::kept(self.licence());
        let is_behind = self.cursor.read - LATE < oldest;
        let read = if is_behind {
            oldest + LATE
        } else {
            self.cursor.read
        };
        let until = now.min(read + PART);
        let from = (read - LATE - WINDOW).max(oldest).max(self.cursor.since);
        let mut tally = Tally::new(&self.record.audit_watch, &ground, self.cursor.since);
        let reading = Reading {
            directory: directory.as_ref(),
            tenant: self.vault.id(),
            stop: &of.stop,
        };
        if !reading.gather(from, until, &mut tally).await? {
            return Ok(Read::Stopped);
        }
        // Not before the log lets itself be read again.
        if is_behind {
            self.tell_gap(context, oldest).await?;
        }
        if let Some(broken_off) = self.tell(of, &ground, tally.findings()).await? {
            return Ok(broken_off);
        }
        self.cursor.read = until;
        self.told
            .retain(|_, time| *time > until - LATE - WINDOW - WINDOW);
        let now = clock.now();
        let is_more = until + of.every <= now;
        // Whoever goes on after this process must not begin far back again.
        let is_held = if is_behind || is_more {
            self.keep(now, now + HOLD).await? == Stored::Ours
        } else {
            self.renew(now).await?
        };
        if !is_held {
            return Ok(Read::Lost);
        }
        context.metrics.audit_log_read(self.vault.id(), until);
        Ok(if is_more { Read::More } else { Read::CaughtUp })
    }

    /// Says again, where it is time, that this process has the tenant; whether it has.
    async fn renew(&mut self, now: DateTime<Utc>) -> Result<bool, Error> {
        Ok(self.cursor.expires - now >= RENEWAL
            || self.keep(now, now + HOLD).await? == Stored::Ours)
    }

    fn licence(&self) -> Licence {
        let known = self.surroundings.as_ref();
        known.map_or(Licence::None, |known| known.licence)
    }

    /// Raises what was not raised yet; why not all of it, where it was broken off.
    async fn tell(
        &mut self,
        of: &Follower,
        ground: &Ground,
        findings: Vec<Finding>,
    ) -> Result<Option<Read>, Error> {
        let new: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| !self.told.contains_key(&finding.id))
            .collect();
        let Some(first) = new.iter().map(|finding| finding.id.as_str()).min() else {
            return Ok(None);
        };
        // By another process, or by this one before it began anew.
        let raised = raised(&self.vault, first).await?;
        let (known, mut new): (Vec<Finding>, Vec<Finding>) = new
            .into_iter()
            .partition(|finding| raised.contains(finding.id.as_str()));
        if !known.is_empty() {
            // Whoever raised them may have ended before they were sent.
            of.context.bell.ring(self.vault.id());
        }
        let known = known.into_iter().map(|finding| (finding.id, finding.time));
        self.told.extend(known);
        if new.is_empty() {
            return Ok(None);
        }
        let snapshots = tell::snapshots(&self.vault).await;
        while !new.is_empty() {
            if of.stop.is_cancelled() {
                return Ok(Some(Read::Stopped));
            }
            if !self.renew(of.context.deps.clock.now()).await? {
                return Ok(Some(Read::Lost));
            }
            let rest = new.split_off(new.len().min(TOLD_AT_ONCE));
            let some = std::mem::replace(&mut new, rest);
            self.raise(&of.context, ground, &snapshots, some).await?;
        }
        Ok(None)
    }

    async fn raise(
        &mut self,
        context: &Context,
        ground: &Ground,
        snapshots: &[Manifest],
        findings: Vec<Finding>,
    ) -> Result<(), Error> {
        let vault = &self.vault;
        let bases = &tell::bases(vault, snapshots, &findings).await;
        let raise = |finding: Finding| async move {
            let signal = tell::signal(vault.id(), bases, ground, &finding);
            let severity = finding.rule.severity;
            signals::raise(context, vault, &finding.id, severity, &signal).await?;
            Ok::<_, Error>((finding.id, finding.time))
        };
        let mut raised = stream::iter(findings).map(raise).buffered(AT_ONCE);
        while let Some((id, time)) = raised.try_next().await? {
            self.told.insert(id, time);
        }
        Ok(())
    }

    /// Tells that a part of the log is gone unread.
    async fn tell_gap(&self, context: &Context, oldest: DateTime<Utc>) -> Result<(), Error> {
        let lost = (self.cursor.read - LATE).max(self.cursor.since);
        if lost < oldest {
            tracing::warn!(
                tenant = %self.vault.id(),
                from = %lost,
                until = %oldest,
                "a part of the audit log was not read before the directory gave it up"
            );
            context.metrics.audit_log_lost(self.vault.id());
            let detail = format!("{} to {}", tell::text(lost), tell::text(oldest));
            self.raise_once(context, &LOG_GAP, lost, &detail).await?;
        }
        Ok(())
    }

    /// Tells that the log may not be read any more, if it was read before.
    async fn tell_closed(&mut self, context: &Context) -> Result<(), Error> {
        let last = self.cursor.read;
        if last <= self.cursor.since {
            return Ok(());
        }
        let detail = format!("last read up to {}", tell::text(last));
        let is_news = self
            .raise_once(context, &AUDIT_LOG_CLOSED, last, &detail)
            .await?;
        if is_news {
            // Whoever begins again must know it by the same time.
            let expires = self.cursor.expires;
            self.keep(context.deps.clock.now(), expires).await?;
        }
        Ok(())
    }

    /// Raises what no record tells of, once for a time; whether it was raised now.
    ///
    /// It is named by the day on which it is raised, however far back that time is:
    /// what is named by a day long ago is delivered to nobody.
    async fn raise_once(
        &self,
        context: &Context,
        rule: &'static Rule,
        mark: DateTime<Utc>,
        detail: &str,
    ) -> Result<bool, Error> {
        let is_watched = self
            .record
            .audit_watch
            .rules()
            .any(|(it, _)| it.name == rule.name);
        if !is_watched {
            return Ok(false);
        }
        let end = tell::end(rule, mark);
        let since = raised(&self.vault, &tell::day(mark)).await?;
        if since.iter().any(|id| id.ends_with(&end)) {
            return Ok(false);
        }
        let now = context.deps.clock.now();
        let (id, signal) = tell::alone(self.vault.id(), rule, now, &end, detail);
        signals::raise(context, &self.vault, &id, rule.severity, &signal).await?;
        Ok(true)
    }
}

/// The signals that were raised, from an id or the beginning of one on.
async fn raised(vault: &TenantVault, from: &str) -> Result<HashSet<String>, Error> {
    let documents = vault.list_documents(Area::Signals, from).await?;
    let signals = documents
        .into_iter()
        .filter(|document| document.name == signals::SIGNAL);
    Ok(signals.map(|document| document.id).collect())
}

/// What a reading needs.
struct Reading<'a> {
    directory: &'a dyn Directory,
    tenant: &'a TenantId,
    stop: &'a CancellationToken,
}

impl Reading<'_> {
    /// Judges what the log holds of a time; whether all of it was read before the
    /// process ends.
    async fn gather(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        tally: &mut Tally<'_>,
    ) -> Result<bool, Error> {
        let mut next = None;
        loop {
            let page = tokio::select! {
                page = self.directory.audits(from, until, next.as_ref()) => page?,
                () = self.stop.cancelled() => return Ok(false),
            };
            if page.malformed > 0 {
                tracing::warn!(
                    tenant = %self.tenant,
                    malformed = page.malformed,
                    "entries of the audit log are not understood, and passed over"
                );
            }
            page.records.iter().for_each(|record| tally.see(record));
            match page.next {
                Some(link) => next = Some(link),
                None => return Ok(true),
            }
        }
    }
}

/// The applications and service principals that have the client ids here, by client
/// id; an application of another tenant has a service principal alone.
async fn own(
    directory: &dyn Directory,
    client_ids: &[String],
) -> Result<HashMap<String, HashSet<String>>, Error> {
    let mut all = HashMap::new();
    for client_id in client_ids {
        let mut own = HashSet::from([client_id.clone()]);
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
        all.insert(client_id.clone(), own);
    }
    Ok(all)
}

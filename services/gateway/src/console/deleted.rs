//! What lies in a tenant's recycle bins, and the way to restore it.
//!
//! The bins are read when the page is asked for. Restoring goes by a plan from a snapshot
//! of before the deletion, like every other write.

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::frame::{Answer, Frame, Section, page};
use super::parts::{Badge, Pager, Tone};
use super::session::Visit;
use super::told::{Object, Who, count};
use askama::Template;
use axum::Router;
use axum::routing::get;
use prost_types::Timestamp;
use proto::v1;
use show::text::id_of;

/// How many objects stand on a page.
const PAGE: i32 = 50;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/tenants/{tenant}/deleted", get(list))
}

/// One object in a bin.
#[derive(Debug)]
struct Line {
    object: Object,
    deleted: Option<Timestamp>,
    left: Badge,
    by: Option<Who>,
    is_known: bool,
    /// What the form that plans the restore takes.
    value: String,
}

impl Line {
    fn of(deleted: &v1::DeletedObject) -> Self {
        let object = Object::of(deleted.object.as_ref());
        let seconds = deleted.delete_time.map(|time| time.seconds.to_string());
        let deletion = deleted.deletion.as_ref();
        Self {
            value: format!("{}@{}", object.id, seconds.unwrap_or_default()),
            deleted: deleted.delete_time,
            left: left(deleted),
            by: deletion.and_then(|it| Who::of(it.initiated_by.as_ref())),
            is_known: deleted.in_latest_snapshot,
            object,
        }
    }
}

/// How long an object can still be restored.
fn left(deleted: &v1::DeletedObject) -> Badge {
    if deleted.expire_time.is_none() {
        return Badge::new(Tone::Plain, "not known");
    }
    let days = match deleted.days_left {
        ..=0 => "last day".to_owned(),
        days => count(days.into(), "day", "days"),
    };
    let tone = match deleted.days_left {
        ..=2 => Tone::Bad,
        3..=7 => Tone::Warn,
        _ => Tone::Plain,
    };
    Badge::new(tone, days)
}

#[derive(Template)]
#[template(path = "deleted/list.html")]
struct List {
    frame: Frame,
    restore: String,
    lines: Vec<Line>,
    soon: usize,
    read: Option<Timestamp>,
    not_read: Vec<String>,
    log: String,
    snapshot: String,
    pager: Pager,
}

async fn list(at: Visit, asked: Asked) -> Answer {
    let token = asked.text("page_token");
    let request = v1::ListDeletedObjectsRequest {
        parent: at.name(),
        page_size: PAGE,
        page_token: token.to_owned(),
    };
    let answer = at.session.diffs().list_deleted_objects(request).await?;
    let answer = answer.into_inner();
    let objects = &answer.deleted_objects;
    page(&List {
        frame: at.frame(Section::Deleted, "Recycle bin"),
        restore: at.path("/restores/new"),
        lines: objects.iter().map(Line::of).collect(),
        soon: objects.iter().filter(|it| it.expires_soon).count(),
        read: answer.read_time,
        not_read: answer.not_read,
        log: answer.audit_log.map(|log| log.detail).unwrap_or_default(),
        snapshot: id_of(&answer.snapshot).to_owned(),
        pager: Pager::new(&at.path("/deleted"), &[], token, &answer.next_page_token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deleted(days_left: i32) -> v1::DeletedObject {
        v1::DeletedObject {
            object: Some(v1::ObjectRef {
                r#type: "user".to_owned(),
                id: "u-1".to_owned(),
                display_name: "Ann".to_owned(),
            }),
            delete_time: Some(Timestamp {
                seconds: 7,
                nanos: 0,
            }),
            expire_time: Some(Timestamp::default()),
            days_left,
            ..v1::DeletedObject::default()
        }
    }

    #[test]
    fn the_last_days_catch_the_eye() {
        for (days, tone, text) in [
            (-1, Tone::Bad, "last day"),
            (0, Tone::Bad, "last day"),
            (1, Tone::Bad, "1 day"),
            (5, Tone::Warn, "5 days"),
            (29, Tone::Plain, "29 days"),
        ] {
            let badge = left(&deleted(days));
            assert_eq!(badge.tone(), tone, "{days}");
            assert!(badge.to_string().contains(text), "{days}: {badge}");
        }
        let unknown = v1::DeletedObject {
            expire_time: None,
            ..deleted(0)
        };
        assert_eq!(left(&unknown).tone(), Tone::Plain);
    }

    #[test]
    fn the_form_gets_the_id_and_the_time() {
        assert_eq!(Line::of(&deleted(1)).value, "u-1@7");
        let timeless = v1::DeletedObject {
            delete_time: None,
            ..deleted(1)
        };
        assert_eq!(Line::of(&timeless).value, "u-1@");
    }
}

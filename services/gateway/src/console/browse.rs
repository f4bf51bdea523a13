//! Looking into a snapshot: finding objects, one of them, its history.
//!
//! Owns the search and what is offered where nothing is searched for yet.

mod history;
mod object;

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::frame::{Answer, Frame, Section, page};
use super::parts::{Badge, Pager, Tone, address};
use super::session::Visit;
use super::snapshots::title;
use super::told::Object;
use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use chrono::{DateTime, Utc};
use model::ObjectType;
use model::snapshot::Kind;
use proto::v1;
use proto::v1::{ObjectState, SearchMatch, Snapshot};
use show::words;

/// How many objects a page of what was found has.
const SHOWN: i32 = 50;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants/{tenant}/snapshots/{snapshot}/objects", get(find))
        .route(
            "/tenants/{tenant}/snapshots/{snapshot}/objects/{object}",
            get(object::show),
        )
        .route(
            "/tenants/{tenant}/objects/{type}/{object}/history",
            get(history::show),
        )
}

/// A type that can be chosen.
struct Choice {
    name: &'static str,
    title: String,
    is_chosen: bool,
}

/// A type of which there are objects.
struct Count {
    title: String,
    count: i64,
}

/// An object that was found.
struct Found {
    href: String,
    object: Object,
    state: Badge,
}

#[derive(Template)]
#[template(path = "browse/find.html")]
struct Find {
    frame: Frame,
    path: String,
    snapshot: Head,
    text: String,
    from_the_beginning: bool,
    choices: Vec<Choice>,
    counts: Vec<Count>,
    found: Option<Vec<Found>>,
    pager: Pager,
}

/// The snapshot that is looked into.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) start: Option<DateTime<Utc>>,
}

impl Head {
    fn of(snapshot: &Snapshot) -> Self {
        use super::filters::Moment;
        Self {
            id: show::text::id_of(&snapshot.name).to_owned(),
            href: format!("/{}", snapshot.name),
            start: snapshot.start_time.moment(),
        }
    }
}

/// The snapshot that an address names, `latest` included.
async fn snapshot(at: &Visit, id: &str) -> Result<Snapshot, tonic::Status> {
    let request = v1::GetSnapshotRequest {
        name: format!("{}/snapshots/{id}", at.name()),
    };
    let answer = at.session.snapshots().get_snapshot(request).await?;
    Ok(answer.into_inner().snapshot.unwrap_or_default())
}

/// The page of an object in a snapshot.
fn object_path(snapshot: &str, object_type: &str, id: &str) -> String {
    address(
        &format!("{snapshot}/objects/{id}"),
        &[("type", object_type)],
    )
}

fn state(state: ObjectState) -> Badge {
    match state {
        ObjectState::SoftDeleted => Badge::new(Tone::Warn, "In the recycle bin"),
        ObjectState::Live | ObjectState::Unspecified => Badge::new(Tone::Good, "Live"),
    }
}

async fn find(at: Visit, Path((_, id)): Path<(String, String)>, asked: Asked) -> Answer {
    let snapshot = snapshot(&at, &id).await?;
    let head = Head::of(&snapshot);
    let path = format!("{}/objects", head.href);
    let (text, token, chosen) = (
        asked.text("q"),
        asked.text("page_token"),
        asked.text("type"),
    );
    let beginning = asked.is_set("beginning");
    let mut next = String::new();
    let mut found = None;
    if !text.is_empty() {
        let answer = search(&at, &snapshot.name, &asked).await?;
        next = answer.next_page_token;
        found = Some(
            answer
                .objects
                .iter()
                .map(|it| row(&head.href, it))
                .collect(),
        );
    }
    let query = [
        ("q", text),
        ("type", chosen),
        ("beginning", if beginning { "1" } else { "" }),
    ];
    page(&Find {
        frame: at.frame(Section::Snapshots, "Browse"),
        pager: Pager::new(&path, &query, token, &next),
        text: text.to_owned(),
        from_the_beginning: beginning,
        choices: choices(chosen),
        counts: counts(&snapshot),
        snapshot: head,
        found,
        path,
    })
}

async fn search(
    at: &Visit,
    parent: &str,
    asked: &Asked,
) -> Result<v1::SearchSnapshotResponse, tonic::Status> {
    let matching = if asked.is_set("beginning") {
        SearchMatch::Beginning
    } else {
        SearchMatch::Unspecified
    };
    let request = v1::SearchSnapshotRequest {
        parent: parent.to_owned(),
        text: asked.text("q").to_owned(),
        r#match: matching.into(),
        types: asked.all("type"),
        page_size: SHOWN,
        page_token: asked.text("page_token").to_owned(),
    };
    let answer = at.session.snapshots().search_snapshot(request).await?;
    Ok(answer.into_inner())
}

fn row(snapshot: &str, found: &v1::SnapshotObject) -> Found {
    let object = Object::of(found.object.as_ref());
    Found {
        href: object_path(snapshot, &object.type_name, &object.id),
        object,
        state: state(found.state()),
    }
}

fn choices(chosen: &str) -> Vec<Choice> {
    let all = ObjectType::ALL.into_iter().map(ObjectType::name);
    all.map(|name| Choice {
        name,
        title: words::title(name),
        is_chosen: name == chosen,
    })
    .collect()
}

/// What there is in it, the most first.
fn counts(snapshot: &Snapshot) -> Vec<Count> {
    let of_objects = |it: &&v1::KindRecord| {
        matches!(
            Kind::from_name(&it.kind),
            Some(Kind::Objects(_) | Kind::Deleted(_))
        )
    };
    let kinds = snapshot.kinds.iter().filter(of_objects);
    let mut counts: Vec<Count> = kinds
        .filter(|it| it.count > 0)
        .map(|it| Count {
            title: title(&it.kind),
            count: it.count,
        })
        .collect();
    counts.sort_by_key(|it| std::cmp::Reverse(it.count));
    counts
}

//! Finds objects of a snapshot by what they are called.

use model::{ObjectId, ObjectType};
use proto::convert::InvalidMessage;
use proto::name;
use proto::v1::{SearchMatch, SearchSnapshotRequest, SearchSnapshotResponse};
use runtime::page::{After, PageError};
use store::{Found, Match, Query};

use crate::{Context, Error, message};

/// The longest text that is searched for, in characters.
const LONGEST: usize = 256;

pub(crate) async fn search(
    context: &Context,
    request: SearchSnapshotRequest,
) -> Result<SearchSnapshotResponse, Error> {
    let (tenant, id) = name::parse_snapshot("parent", &request.parent)?;
    let after = After::read(request.page_size, &request.page_token)?;
    let last = after.key.as_deref().map(place).transpose()?;
    let length = request.text.chars().count();
    if !(1..=LONGEST).contains(&length) {
        let problem = format!("1 to {LONGEST} characters are expected");
        return Err(InvalidMessage::new("text", problem).into());
    }
    let matching = match request.r#match() {
        SearchMatch::Unspecified => Match::Anywhere,
        SearchMatch::Beginning => Match::Beginning,
    };
    let query = Query {
        matching,
        types: message::types(&request.types)?,
        text: request.text,
    };
    let vault = context.deps.vault.tenant(&tenant).await?;
    let manifest = vault.find(&id).await?;
    let page = vault.search(&manifest, query, last, after.limit).await?;
    let last = page.found.last().filter(|_| page.more);
    Ok(SearchSnapshotResponse {
        next_page_token: last.map(token).unwrap_or_default(),
        objects: page.found.iter().map(message::found).collect(),
    })
}

fn token(found: &Found) -> String {
    After::token(&format!("{}/{}", found.object_type.name(), found.id))
}

/// The place that a token names.
fn place(key: &str) -> Result<(ObjectType, ObjectId), PageError> {
    let (object_type, id) = key.split_once('/').ok_or(PageError::Token)?;
    let object_type = ObjectType::from_name(object_type).ok_or(PageError::Token)?;
    let id = ObjectId::parse(id).map_err(|_| PageError::Token)?;
    Ok((object_type, id))
}

//! Shows one object of a snapshot, with the links that it holds.

use model::{ObjectId, ObjectType};
use proto::convert::InvalidMessage;
use proto::name;
use proto::v1::{GetSnapshotObjectRequest, GetSnapshotObjectResponse};
use store::StoreError;

use crate::{Context, Error, message};

pub(crate) async fn show(
    context: &Context,
    request: GetSnapshotObjectRequest,
) -> Result<GetSnapshotObjectResponse, Error> {
    let (tenant, snapshot) = name::parse_snapshot("parent", &request.parent)?;
    let id = ObjectId::parse(&request.id).map_err(|error| InvalidMessage::new("id", error))?;
    let object_type = match request.r#type.as_str() {
        "" => None,
        name => Some(ObjectType::from_name(name).ok_or_else(|| {
            InvalidMessage::new("type", "the name of an object type is expected")
        })?),
    };
    let vault = context.deps.vault.tenant(&tenant).await?;
    let manifest = vault.find(&snapshot).await?;
    let found = match object_type {
        Some(object_type) => vault.object(&manifest, object_type, &id).await?,
        None => vault
            .objects_with_id(&manifest, &id)
            .await?
            .into_iter()
            .next(),
    };
    let object = found.ok_or_else(|| StoreError::NotFound {
        what: format!("object {id} of snapshot {}", manifest.id()),
    })?;
    let links = vault.links_from(&manifest, &id).await?;
    let held = links
        .iter()
        .filter(|link| link.kind.source_type() == object.object_type);
    Ok(GetSnapshotObjectResponse {
        links: held.map(message::link).collect(),
        object: Some(message::object(object)),
    })
}

//! Messages as protobuf JSON, for clients that print them.

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(crate::DESCRIPTORS).expect("invariant: the build wrote the descriptors")
});

/// The descriptors of the contract, custom options included.
#[must_use]
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

/// A message from its protobuf JSON, as [`to_json`] writes it.
///
/// # Errors
/// Where it is no such message.
///
/// # Panics
/// Where the package has no message of that name.
pub fn from_json<M: prost::Message + Default>(
    message: &str,
    text: &[u8],
) -> Result<M, serde_json::Error> {
    let descriptor = POOL
        .get_message_by_name(&format!("rewind.v1.{message}"))
        .expect("invariant: the message is in the contract");
    let mut reader = serde_json::Deserializer::from_slice(text);
    let dynamic = DynamicMessage::deserialize(descriptor, &mut reader)?;
    reader.end()?;
    let message = dynamic.transcode_to();
    Ok(message.expect("invariant: a message decodes as itself"))
}

/// One message as protobuf JSON.
///
/// `message` is its name within the package, such as `Snapshot`. Fields at
/// their default are printed too, so that a reader need not know the contract
/// to see that something is zero. 64-bit integers are numbers, not strings, as
/// most readers expect.
///
/// # Panics
/// Where the package has no message of that name.
#[must_use]
pub fn to_json(message: &str, value: &impl prost::Message) -> serde_json::Value {
    let descriptor = POOL
        .get_message_by_name(&format!("rewind.v1.{message}"))
        .expect("invariant: the message is in the contract");
    let dynamic = DynamicMessage::decode(descriptor, value.encode_to_vec().as_slice())
        .expect("invariant: a message decodes as itself");
    let options = SerializeOptions::new()
        .skip_default_fields(false)
        .stringify_64_bit_integers(false);
    dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("invariant: a message has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_numbers_are_plain() {
        let snapshot = crate::v1::Snapshot {
            name: "tenants/x/snapshots/y".to_owned(),
            object_count: 3,
            state: 2,
            ..Default::default()
        };
        let json = to_json("Snapshot", &snapshot);
        assert_eq!(json["name"], "tenants/x/snapshots/y");
        assert_eq!(json["objectCount"], 3);
        assert_eq!(json["linkCount"], 0);
        assert_eq!(json["state"], "SNAPSHOT_STATE_COMPLETE");
    }

    #[test]
    fn every_method_declares_its_access() {
        let extension = pool()
            .get_extension_by_name("rewind.v1.access")
            .expect("the option is in the contract");
        let mut methods = 0;
        for service in pool()
            .services()
            .filter(|service| service.package_name() == "rewind.v1")
        {
            for method in service.methods() {
                assert!(
                    method.options().has_extension(&extension),
                    "{} declares no access",
                    method.full_name()
                );
                methods += 1;
            }
        }
        assert!(methods > 20, "only {methods} methods were seen");
    }
}

//! What a request asked for, told without a secret.
//!
//! Owns which values may be told. A number, a choice, an id or a name may; of any other
//! text only its length is told, since somebody may have put a secret there.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};
use proto::v1::AuditField;

/// How many fields are told.
const MOST: usize = 32;
/// How many elements of a list are told.
const ELEMENTS: usize = 10;
/// How much is told of a text.
const LONGEST: usize = 200;
/// Text fields whose values are ids, names of resources or choices.
const TOLD: [&str; 39] = [
    "name",
    "parent",
    "id",
    "ids",
    "request_id",
    "snapshot",
    "report",
    "base",
    "target",
    "plan",
    "restore",
    "types",
    "type",
    "properties",
    "links",
    "relation",
    "target_id",
    "client_id",
    "cloud",
    "retention",
    "drift_watch",
    "audit_watch",
    "approval",
    "break_glass_ids",
    "display_name",
    "author",
    "caller",
    "subject",
    "claim",
    "tenant_ids",
    "groups",
    "names",
    "schedule",
    "plan_hash",
    "change_hash",
    "drop",
    "drop_references",
    "old",
    "new",
];

/// The fields that a request sets.
pub(super) fn fields(request: &DynamicMessage) -> Vec<AuditField> {
    let mut fields = Vec::new();
    collect(request, "", &mut fields);
    fields
}

/// A text of a caller's making, as far as it is told.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

fn collect(message: &DynamicMessage, before: &str, fields: &mut Vec<AuditField>) {
    for (field, value) in message.fields() {
        if fields.len() == MOST {
            return;
        }
        let path = format!("{before}{}", field.name());
        match value {
            Value::Message(inner) if !is_plain(inner) => {
                collect(inner, &format!("{path}."), fields);
            }
            value => fields.push(AuditField {
                value: told(&field, value),
                path,
            }),
        }
    }
}

/// Whether a message is a value rather than a group of fields.
fn is_plain(message: &DynamicMessage) -> bool {
    message
        .descriptor()
        .full_name()
        .starts_with("google.protobuf.")
}

fn told(field: &FieldDescriptor, value: &Value) -> String {
    match value {
        Value::List(values) => {
            let elements = values.iter().take(ELEMENTS);
            let mut told: Vec<String> = elements.map(|value| told(field, value)).collect();
            if values.len() > ELEMENTS {
                told.push(format!("and {} more", values.len() - ELEMENTS));
            }
            told.join(", ")
        }
        Value::String(text) if TOLD.contains(&field.name()) => shortened(text),
        Value::String(text) => format!("({} characters)", text.chars().count()),
        Value::Bytes(bytes) => format!("({} bytes)", bytes.len()),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(choices) => choices
                .get_value(*number)
                .map_or_else(|| number.to_string(), |choice| choice.name().to_owned()),
            _ => number.to_string(),
        },
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::Map(entries) => format!("({} entries)", entries.len()),
        Value::Message(message) => plain(message),
    }
}

/// A time, a duration, or an element of a list.
fn plain(message: &DynamicMessage) -> String {
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => {
            let time: Option<prost_types::Timestamp> = message.transcode_to().ok();
            time.map(|time| time.to_string()).unwrap_or_default()
        }
        "google.protobuf.Duration" => {
            let time: Option<prost_types::Duration> = message.transcode_to().ok();
            time.map(|time| time.to_string()).unwrap_or_default()
        }
        _ => {
            let mut fields = Vec::new();
            collect(message, "", &mut fields);
            let told = fields
                .iter()
                .map(|field| format!("{}={}", field.path, field.value));
            format!("{{{}}}", told.collect::<Vec<_>>().join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto::v1::{
        AddedPolicy, AppCredential, CreatePlanRequest, CreateTenantRequest, ExportKeysRequest,
        PlanOptions, Tenant, Webhook,
    };

    use super::*;
    use crate::access::Table;

    /// Text fields of which only the length is told: references to secrets, addresses,
    /// and what people write freely.
    const WITHHELD: [&str; 14] = [
        "certificate_ref",
        "confirm",
        "consent_url",
        "device_filter",
        "errand_note",
        "federated_token_ref",
        "graph_url",
        "key",
        "login_url",
        "reason",
        "recipients",
        "secret_ref",
        "url",
        "value",
    ];

    /// The text fields of a message and of those in it.
    fn texts(message: &prost_reflect::MessageDescriptor, found: &mut Vec<String>, depth: usize) {
        assert!(depth < 10, "a request that holds itself");
        for field in message.fields() {
            match field.kind() {
                Kind::String => found.push(field.name().to_owned()),
                Kind::Message(inner) => texts(&inner, found, depth + 1),
                _ => {}
            }
        }
    }

    #[test]
    fn of_each_text_in_a_mutation_somebody_decided_whether_it_is_told() {
        let table = Table::new(proto::json::pool()).expect("consistent");
        let mut found = Vec::new();
        for path in table.paths() {
            let method = table.get(path).expect("in the table");
            if method.mutation || path.ends_with("/ExportKeys") {
                texts(&method.request, &mut found, 0);
            }
        }
        found.sort();
        found.dedup();
        assert!(found.len() > 20, "{found:?}");
        for name in &found {
            let name = name.as_str();
            let (told, withheld) = (TOLD.contains(&name), WITHHELD.contains(&name));
            assert!(told != withheld, "{name}: is it told or withheld?");
        }
    }

    fn told(name: &str, request: &impl Message) -> String {
        let descriptor = proto::json::pool()
            .get_message_by_name(&format!("rewind.v1.{name}"))
            .expect("in the contract");
        let message = DynamicMessage::decode(descriptor, request.encode_to_vec().as_slice())
            .expect("decodes");
        let lines = fields(&message).into_iter();
        let lines: Vec<String> = lines
            .map(|it| format!("{}: {}", it.path, it.value))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_registration_is_told_without_where_its_secrets_are() {
        let request = CreateTenantRequest {
            tenant: Some(Tenant {
                id: "0a1b2c3d-0000-4000-8000-00000000000a".to_owned(),
                display_name: "Contoso".to_owned(),
                cloud: "usgov".to_owned(),
                login_url: "https://user:hunter2@login.example".to_owned(),
                reader: Some(AppCredential {
                    client_id: "c1".to_owned(),
                    secret_ref: "hunter2".to_owned(),
                    ..AppCredential::default()
                }),
                webhook: Some(Webhook {
                    url: "https://hooks.example/hunter2".to_owned(),
                    secret_ref: "env:HUNTER2".to_owned(),
                    ..Webhook::default()
                }),
                break_glass_ids: (0..12).map(|n| format!("u{n}")).collect(),
                ..Tenant::default()
            }),
            request_id: "r1".to_owned(),
            validate_only: false,
        };
        let told = told("CreateTenantRequest", &request);
        assert!(!told.to_lowercase().contains("hunter2"), "{told}");
        for line in [
            "tenant.id: 0a1b2c3d-0000-4000-8000-00000000000a",
            "tenant.display_name: Contoso",
            "tenant.cloud: usgov",
            "tenant.login_url: (34 characters)",
            "tenant.reader.client_id: c1",
            "tenant.reader.secret_ref: (7 characters)",
            "tenant.webhook.url: (29 characters)",
            "tenant.break_glass_ids: u0, u1, u2, u3, u4, u5, u6, u7, u8, u9, and 2 more",
            "request_id: r1",
        ] {
            assert!(told.contains(line), "{line} in\n{told}");
        }
    }

    #[test]
    fn a_secret_key_in_place_of_a_public_one_is_not_told() {
        let request = ExportKeysRequest {
            name: "tenants/x".to_owned(),
            recipients: vec!["AGE-SECRET-KEY-1".to_owned()],
        };
        assert_eq!(
            told("ExportKeysRequest", &request),
            "name: tenants/x\nrecipients: (16 characters)"
        );
    }

    #[test]
    fn choices_and_switches_are_told_by_their_names() {
        let request = CreatePlanRequest {
            parent: "p".repeat(500),
            options: Some(PlanOptions {
                added: AddedPolicy::SoftDelete.into(),
                recreate_hard_deleted: true,
                ..PlanOptions::default()
            }),
            ..CreatePlanRequest::default()
        };
        let told = told("CreatePlanRequest", &request);
        assert!(
            told.contains(&format!("parent: {}\n", "p".repeat(200))),
            "{told}"
        );
        assert!(
            told.contains("options.added: ADDED_POLICY_SOFT_DELETE"),
            "{told}"
        );
        assert!(
            told.contains("options.recreate_hard_deleted: true"),
            "{told}"
        );
    }
}

//! Steps for password and key credentials that were added since the snapshot.
//!
//! They are taken away where the plan takes away what was added; what is lost is
//! never put back, since no secret is ever stored.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::objects::guard;
use super::{Action, Added, Draft, Guard, Sketch};
use crate::call::{Call, HttpMethod};
use crate::canonical;
use crate::diff::{AttributeChange, Change, Obstacle};

type Body = Map<String, Value>;

/// The credentials that have a request of their own to be removed by.
const PASSWORDS: &str = "passwordCredentials";

impl Draft<'_> {
    /// Plans what becomes of an attribute with credentials that the snapshot does
    /// not know.
    pub(super) fn credentials(
        &mut self,
        change: &Change,
        base: &Body,
        live: &Body,
        attribute: &AttributeChange,
    ) {
        let known = key_ids(base.get(&attribute.path));
        let rogue: Vec<&Value> = attribute
            .added
            .iter()
            .filter(|credential| key_id(credential).is_none_or(|id| !known.contains(id)))
            .collect();
        let name = &change.object.name;
        let kept = if self.is_own(change, live) {
            Some(
                "holds a credential of Rewind itself that the snapshot does not know; see to it by hand",
            )
        } else if self.situation.options.added == Added::Keep {
            Some(
                "holds a credential that the snapshot does not know; it is kept as what was added is, so remove it by hand or with a plan that removes what was added",
            )
        } else if live
            .get("servicePrincipalType")
            .is_some_and(|it| it == "ManagedIdentity")
        {
            Some(
                "holds a credential that the snapshot does not know; Azure renews those of a managed identity, and Graph does not let them be removed",
            )
        } else {
            None
        };
        if let Some(detail) = kept {
            self.risks.insert(format!(
                "\"{name}\" holds a credential that the snapshot does not know: whoever added it can still sign in"
            ));
            self.exclude(
                change,
                Obstacle::CredentialAdded,
                attribute.path.clone(),
                detail,
            );
            return;
        }
        if attribute.removed.iter().any(|lost| !rogue.contains(&lost)) {
            let detail = "credentials are not restored; secrets are never stored";
            self.exclude(change, Obstacle::Secret, attribute.path.clone(), detail);
        }
        if rogue.is_empty() {
            return;
        }
        self.risks.insert(format!(
            "credentials of \"{name}\" that were added since the snapshot will be removed, also where somebody meant them: what signs in with them no longer can, and nothing brings them back"
        ));
        if attribute.path == PASSWORDS {
            for credential in rogue {
                self.remove_password(change, attribute, credential);
            }
        } else {
            self.remove_keys(change, live, attribute, &rogue);
        }
    }

    fn remove_password(&mut self, change: &Change, attribute: &AttributeChange, one: &Value) {
        let item = change
            .object
            .object_type
            .spec()
            .item_path(&change.object.id);
        let guards = vec![Guard {
            property: attribute.path.clone(),
            before: canonical::hash(Some(one)),
            after: String::new(),
        }];
        let call = Call {
            method: HttpMethod::Post,
            path: format!("{item}/removePassword"),
            body: Some(json!({ "keyId": key_id(one) })),
        };
        self.remove_credential(change, attribute, vec![one.clone()], guards, call);
    }

    /// `removeKey` asks for a proof that only who holds the key can give, so the list
    /// is written without it.
    fn remove_keys(
        &mut self,
        change: &Change,
        live: &Body,
        attribute: &AttributeChange,
        rogue: &[&Value],
    ) {
        let spec = change.object.object_type.spec();
        let Some(property) = spec.property(&attribute.path) else {
            return;
        };
        let held = live.get(property.name);
        let mut left: Vec<Value> = held.and_then(Value::as_array).cloned().unwrap_or_default();
        left.retain(|one| {
            let one = Value::Array(vec![one.clone()]);
            let shown = canonical::property(property, Some(&one));
            let shown = shown.as_ref().and_then(|list| list.get(0));
            !shown.is_some_and(|one| rogue.contains(&one))
        });
        for one in left.iter_mut().filter_map(Value::as_object_mut) {
            // Graph keeps the key of an entry that it knows.
            one.retain(|name, value| !value.is_null() && name != "key");
        }
        let left = Value::Array(left);
        let guards = vec![guard(property, held, Some(&left))];
        let call = Call {
            method: HttpMethod::Patch,
            path: spec.item_path(&change.object.id),
            body: Some(json!({ property.name: left })),
        };
        let gone = rogue.iter().map(|one| (*one).clone()).collect();
        self.remove_credential(change, attribute, gone, guards, call);
    }

    fn remove_credential(
        &mut self,
        change: &Change,
        attribute: &AttributeChange,
        gone: Vec<Value>,
        guards: Vec<Guard>,
        call: Call,
    ) {
        self.steps.push(Sketch {
            action: Action::RemoveCredential,
            object: change.object.clone(),
            reason: "was added since the snapshot; removing it cannot be undone".to_owned(),
            attributes: vec![AttributeChange {
                path: attribute.path.clone(),
                before: Some(Value::Array(gone.clone())),
                after: None,
                added: Vec::new(),
                removed: gone,
                class: attribute.class,
            }],
            links: Vec::new(),
            guards,
            call,
            needs: Vec::new(),
            needs_links_of: Vec::new(),
            made_anew: Vec::new(),
        });
    }
}

fn key_id(credential: &Value) -> Option<&str> {
    credential.get("keyId").and_then(Value::as_str)
}

fn key_ids(list: Option<&Value>) -> HashSet<&str> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(key_id).collect()
}

//! Rendering: one object or a collection, with selection and expansion.

use serde_json::{Value, json};

use crate::catalog::{Kind, Relation};
use crate::http::links::{self, Cursor};
use crate::http::permission;
use crate::http::reply::Reply;
use crate::http::{Call, strengths};
use crate::odata::{Expand, Query};
use crate::record::{Detail, Object, push_id, push_pair};
use crate::state::State;
use crate::state::grants::Assignment;
use crate::tenant::Actor;
use crate::write::grants::assignment_json;

/// How many linked objects `$expand` shows, without saying that there are more.
const EXPANDED: usize = 20;

/// Everything that rendering an answer depends on.
pub(crate) struct View<'a> {
    pub state: &'a State,
    pub call: &'a Call,
    pub query: &'a Query,
    pub detail: Detail,
    /// Whether each object says its type.
    pub typed: bool,
    pub actor: &'a Actor,
}

impl View<'_> {
    fn selection(&self) -> String {
        match &self.query.select {
            Some(names) => format!("({})", names.join(",")),
            None => String::new(),
        }
    }

    /// A whole collection answer.
    pub(crate) fn collection<'o>(
        &self,
        name: &str,
        objects: impl Iterator<Item = &'o Object>,
        next: Option<Cursor>,
        total: Option<usize>,
    ) -> Reply {
        let mut out = Vec::with_capacity(16 << 10);
        out.push(b'{');
        let context = self.call.context(&format!("{name}{}", self.selection()));
        push_pair(
            &mut out,
            "@odata.context",
            json!(context).to_string().as_bytes(),
        );
        if let Some(total) = total {
            push_pair(&mut out, "@odata.count", total.to_string().as_bytes());
        }
        if let Some(cursor) = next {
            let link = links::next(self.call, self.query, &cursor);
            push_pair(
                &mut out,
                "@odata.nextLink",
                json!(link).to_string().as_bytes(),
            );
        }
        push_pair(&mut out, "value", b"[");
        for (at, object) in objects.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'{');
            self.object(&mut out, object);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        Reply::raw(200, out)
    }

    /// A single-object answer.
    pub(crate) fn entity(&self, name: &str, object: &Object) -> Reply {
        let mut out = Vec::with_capacity(2 << 10);
        out.push(b'{');
        let context = self
            .call
            .context(&format!("{name}{}/$entity", self.selection()));
        push_pair(
            &mut out,
            "@odata.context",
            json!(context).to_string().as_bytes(),
        );
        self.object(&mut out, object);
        out.push(b'}');
        Reply::raw(200, out)
    }

    /// The members of one object, after whatever `out` already holds.
    pub(crate) fn object(&self, out: &mut Vec<u8>, object: &Object) {
        if self.typed && object.kind != Kind::Location {
            push_pair(
                out,
                "@odata.type",
                format!("\"#microsoft.graph.{}\"", object.kind.name()).as_bytes(),
            );
        }
        if self.typed && !permission::may_read(self.actor, object.kind) {
            // The type and id of an object that the app may not read are no secret.
            push_id(out, object.id);
            return;
        }
        if object.kind == Kind::Policy {
            self.policy(out, object);
        } else {
            object.render(out, self.query.select.as_deref(), self.detail);
        }
        for expand in &self.query.expand {
            self.expansion(out, object, expand);
        }
    }

    fn policy(&self, out: &mut Vec<u8>, object: &Object) {
        let mut plain = vec![b'{'];
        object.render(&mut plain, self.query.select.as_deref(), self.detail);
        plain.push(b'}');
        let mut policy = crate::record::parse(&plain);
        strengths::annotate_policy(self.state, &self.call.base, object.id, &mut policy);
        for (name, value) in policy.as_object().into_iter().flatten() {
            push_pair(out, name, value.to_string().as_bytes());
        }
    }

    /// What a relation shows that leads to no directory object, no more than any other.
    fn documents(&self, object: &Object, name: &str) -> Option<Vec<Value>> {
        let (state, id) = (self.state, object.id);
        let assigned = |(own, held): (String, &Assignment)| assignment_json(state, &own, held);
        let shown = match (object.kind, name) {
            (Kind::ServicePrincipal, "appRoleAssignedTo") => state
                .grants
                .of_resource(id, None)
                .filter_map(assigned)
                .take(EXPANDED)
                .collect(),
            (Kind::User | Kind::Group | Kind::ServicePrincipal, "appRoleAssignments") => state
                .grants
                .of_principal(id, None)
                .filter_map(assigned)
                .take(EXPANDED)
                .collect(),
            (Kind::Application, "federatedIdentityCredentials") => state
                .federated
                .of(id)
                .map(|(_, held)| held.clone())
                .take(EXPANDED)
                .collect(),
            _ => return None,
        };
        Some(shown)
    }

    fn expansion(&self, out: &mut Vec<u8>, object: &Object, expand: &Expand) {
        if let Some(documents) = self.documents(object, &expand.name) {
            push_pair(
                out,
                &expand.name,
                Value::Array(documents).to_string().as_bytes(),
            );
            return;
        }
        let Some(relation) = Relation::of(object.kind, &expand.name) else {
            return;
        };
        let inner = Query {
            select: expand.select.clone(),
            ..Query::default()
        };
        let view = View {
            query: &inner,
            typed: true,
            ..*self
        };
        let mut targets = self.state.live_targets(relation, object.id, None);
        if relation == Relation::Manager {
            if let Some(manager) = targets.next() {
                let mut one = vec![b'{'];
                view.object(&mut one, manager);
                one.push(b'}');
                push_pair(out, "manager", &one);
            }
            return;
        }
        let mut many = vec![b'['];
        for (at, target) in targets.take(EXPANDED).enumerate() {
            if at > 0 {
                many.push(b',');
            }
            many.push(b'{');
            view.object(&mut many, target);
            many.push(b'}');
        }
        many.push(b']');
        push_pair(out, relation.name(), &many);
    }
}

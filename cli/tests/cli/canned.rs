//! The data that the fake gateway holds.

use proto::v1::*;
use serde_json::json;

pub(crate) const TENANT: &str = "0a1b2c3d-0000-4000-8000-000000000001";
pub(crate) const OTHER: &str = "0a1b2c3d-0000-4000-8000-000000000002";
pub(crate) const TOKEN: &str = "a-token-of-no-value";

pub(crate) fn name(collection: &str, id: &str) -> String {
    format!("tenants/{TENANT}/{collection}/{id}")
}

pub(crate) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: 1_795_000_000 + seconds,
        nanos: 0,
    })
}

pub(crate) fn tenant(id: &str, display_name: &str) -> Tenant {
    Tenant {
        name: format!("tenants/{id}"),
        id: id.to_owned(),
        display_name: display_name.to_owned(),
        cloud: "global".to_owned(),
        reader: Some(AppCredential {
            client_id: "reader".to_owned(),
            secret_ref: "env:REWIND_CREDENTIAL_READER_A".to_owned(),
            ..Default::default()
        }),
        create_time: at(0),
        ..Default::default()
    }
}

/// A change that waits for a second person.
pub(crate) fn change() -> GuardedChange {
    GuardedChange {
        name: name("changes", "3"),
        kind: GuardedChangeKind::Suspend.into(),
        author: "ann".to_owned(),
        create_time: at(0),
        approve_by_time: at(604_800),
        effects: vec!["suspends the tenant".to_owned()],
        severity: Severity::Critical.into(),
        hash: "c0ffee".to_owned(),
        state: GuardedChangeState::Pending.into(),
        ..GuardedChange::default()
    }
}

/// The certificate of the other tenant's erasure.
pub(crate) fn certificates(parent: &str) -> Vec<ErasureCertificate> {
    if !parent.ends_with(OTHER) {
        return Vec::new();
    }
    vec![ErasureCertificate {
        name: format!("{parent}/erasures/3"),
        display_name: "Fabrikam".to_owned(),
        kind: GuardedChangeKind::Offboard.into(),
        author: "ann".to_owned(),
        request_time: at(0),
        approver: "ben".to_owned(),
        approve_time: at(60),
        change_hash: "c0ffee".to_owned(),
        erase_time: at(120),
        keys: vec![ErasedKey {
            number: 1,
            public_key_digest: "beef".to_owned(),
        }],
        proof: "ok".to_owned(),
        proof_detail: "what was deleted is gone".to_owned(),
        remaining_file_count: 9,
        remaining_bytes: 2_048,
        remains: vec!["9 files".to_owned(), "what was logged".to_owned()],
        ..ErasureCertificate::default()
    }]
}

/// How a tenant is.
pub(crate) fn overview(tenant: &Tenant) -> TenantOverview {
    let day = |date: &str, changes: i64| DaySummary {
        date: date.to_owned(),
        changes: Some(changes),
        ..DaySummary::default()
    };
    TenantOverview {
        name: tenant.name.clone(),
        display_name: tenant.display_name.clone(),
        state: TenantState::Active.into(),
        summary: Some(TenantSummary {
            last_snapshot: format!("{}/snapshots/20261118-daily", tenant.name),
            counts: vec![TypeCount {
                r#type: "user".to_owned(),
                count: 120,
            }],
            days: vec![day("2026-11-17", 7), day("2026-11-18", 14)],
            posture_score: Some(60),
            stored_bytes: 2_048,
            ..TenantSummary::default()
        }),
        age_seconds: Some(7_200),
        week_changes: 21,
        signals: Some(SignalTotals {
            critical: 1,
            ..SignalTotals::default()
        }),
        attention: vec!["1 critical signals in 7 days".to_owned()],
        ..TenantOverview::default()
    }
}

pub(crate) fn snapshot(id: &str, state: SnapshotState) -> Snapshot {
    let record = |kind: &str, problem: &str| KindRecord {
        kind: kind.to_owned(),
        complete: problem.is_empty(),
        problem: problem.to_owned(),
        method: "delta".to_owned(),
        not_before: at(1),
        not_after: at(2),
        count: 7,
        ..KindRecord::default()
    };
    let problem = if state == SnapshotState::Incomplete {
        "Graph answered 403"
    } else {
        ""
    };
    Snapshot {
        name: name("snapshots", id),
        state: state.into(),
        start_time: at(0),
        end_time: at(60),
        trigger: "on-demand".to_owned(),
        licence: "P2".to_owned(),
        object_count: 120,
        link_count: 340,
        stored_bytes: 20_480,
        kinds: vec![record("user", ""), record("group/members", problem)],
        ..Snapshot::default()
    }
}

pub(crate) fn report(id: &str, state: ReportState) -> Report {
    Report {
        name: name("reports", id),
        state: state.into(),
        base: name("snapshots", "20261123-daily"),
        target: "live".to_owned(),
        create_time: at(100),
        target_time: at(90),
        counts: Some(ChangeCounts {
            added: 1,
            modified: 1,
            soft_deleted: 1,
            links: 2,
            ..Default::default()
        }),
        method: "full_read".to_owned(),
        audit_log: Some(AuditLog {
            state: AuditLogState::Read.into(),
            from_time: at(0),
            read_time: at(100),
            entry_count: 3,
            detail: String::new(),
        }),
        ..Default::default()
    }
}

fn activity(seconds: i64, what: &str, by: Option<Initiator>, properties: &[&str]) -> Activity {
    Activity {
        initiated_by: by,
        activity: what.to_owned(),
        time: at(seconds),
        correlation_id: format!("c-{seconds}"),
        properties: properties.iter().map(|&name| name.to_owned()).collect(),
    }
}

/// What was done, by whom, with every way to say it.
fn activities() -> Vec<Activity> {
    let user = Initiator {
        r#type: InitiatorType::User.into(),
        id: "u-7".to_owned(),
        display_name: "eve\u{202e}@contoso.example".to_owned(),
        ip_address: "203.0.113.7".to_owned(),
        is_rewind: false,
    };
    let rewind = Initiator {
        r#type: InitiatorType::Application.into(),
        id: "w-1".to_owned(),
        display_name: "Rewind Writer".to_owned(),
        ip_address: String::new(),
        is_rewind: true,
    };
    vec![
        activity(80, "Update user", Some(rewind), &["jobTitle", "aboutMe"]),
        activity(70, "Disable account", Some(user), &[]),
        activity(60, "Update user", None, &[]),
    ]
}

pub(crate) fn object(kind: &str, id: &str, display_name: &str) -> Option<ObjectRef> {
    Some(ObjectRef {
        r#type: kind.to_owned(),
        id: id.to_owned(),
        display_name: display_name.to_owned(),
    })
}

pub(crate) fn long_value() -> String {
    format!("\"{}{}\"", "begin ".repeat(30), "end")
}

pub(crate) fn attribute(path: &str, before: Option<&str>, after: Option<&str>) -> AttributeChange {
    AttributeChange {
        path: path.to_owned(),
        before_json: before.map(str::to_owned),
        after_json: after.map(str::to_owned),
        class: AttributeClass::Restorable.into(),
        ..Default::default()
    }
}

pub(crate) fn link(target_id: &str, target_name: &str, direction: LinkDirection) -> LinkChange {
    LinkChange {
        relation: "group/members".to_owned(),
        target_id: target_id.to_owned(),
        target_name: target_name.to_owned(),
        direction: direction.into(),
    }
}

pub(crate) fn changes() -> Vec<Change> {
    vec![
        Change {
            object: object("group", "g-1", "Finance"),
            kind: ChangeKind::Modified.into(),
            attributes: vec![AttributeChange {
                added_json: vec!["\"b\"".to_owned()],
                removed_json: vec!["\"a\"".to_owned()],
                class: AttributeClass::ReadOnly.into(),
                ..attribute("proxyAddresses", Some("[\"a\"]"), Some("[\"b\"]"))
            }],
            links: vec![
                link("u-9", "Eve", LinkDirection::Added),
                link("u-2", "Bob", LinkDirection::Removed),
            ],
            ..Default::default()
        },
        Change {
            object: object("user", "u-1", "Ann\u{1b}[31m"),
            kind: ChangeKind::Modified.into(),
            attributes: vec![
                attribute("jobTitle", Some("\"Lead\""), Some("\"Clerk\"")),
                attribute("aboutMe", None, Some(&long_value())),
            ],
            activities: activities(),
            more_activities: 2,
            ..Default::default()
        },
        Change {
            object: object("user", "u-2", "Bob"),
            kind: ChangeKind::SoftDeleted.into(),
            obstacles: vec![Obstacle::OnPremisesSynced.into()],
            ..Default::default()
        },
        Change {
            object: object("conditionalAccessPolicy", "p-1", "MFA"),
            kind: ChangeKind::Modified.into(),
            attributes: vec![AttributeChange {
                added_json: vec!["\"g-1\"".to_owned()],
                ..attribute(
                    "conditions.users.excludeGroups",
                    Some("[\"g-2\"]"),
                    Some("[\"g-1\",\"g-2\"]"),
                )
            }],
            references: vec![
                ObjectRef {
                    r#type: "group".to_owned(),
                    id: "g-1".to_owned(),
                    display_name: "Fin\u{1b}[2Jance".to_owned(),
                },
                ObjectRef {
                    r#type: "group".to_owned(),
                    id: "g-2".to_owned(),
                    display_name: "not shown, since it did not change".to_owned(),
                },
            ],
            ..Default::default()
        },
    ]
}

pub(crate) fn plan(id: &str, state: PlanState) -> Plan {
    Plan {
        name: name("plans", id),
        state: state.into(),
        snapshot: name("snapshots", "20261123-daily"),
        report: name("reports", "r1"),
        options: Some(PlanOptions {
            added: AddedPolicy::Keep.into(),
            relationships: RelationshipMode::Rollback.into(),
            ..PlanOptions::default()
        }),
        create_time: at(200),
        step_count: 2,
        exclusion_count: 1,
        risks: vec!["a policy changes who may sign in".to_owned()],
        estimate_seconds: 61,
        ..Default::default()
    }
}

/// A plan that a second person has approved.
pub(crate) fn approved(plan: Plan) -> Plan {
    Plan {
        author: "anna".to_owned(),
        hash: "5eed".to_owned(),
        approval_required: vec!["it changes Conditional Access".to_owned()],
        approval: Some(Approval {
            approver: "ben".to_owned(),
            create_time: at(250),
            expire_time: at(86_650),
            plan_hash: "5eed".to_owned(),
        }),
        ..plan
    }
}

pub(crate) fn steps() -> Vec<PlanStep> {
    vec![
        PlanStep {
            number: 1,
            action: StepAction::RestoreDeleted.into(),
            object: object("user", "u-2", "Bob"),
            method: "POST".to_owned(),
            path: "/directory/deletedItems/u-2/restore".to_owned(),
            ..Default::default()
        },
        PlanStep {
            number: 2,
            action: StepAction::Update.into(),
            object: object("user", "u-1", "Ann"),
            reason: "the job title differs".to_owned(),
            attributes: vec![attribute("jobTitle", Some("\"Clerk\""), Some("\"Lead\""))],
            method: "PATCH".to_owned(),
            path: "/users/u-1".to_owned(),
            permission: "User.ReadWrite.All".to_owned(),
            estimate_seconds: 0.05,
            body_json: Some("{\"jobTitle\":\"Lead\"}".to_owned()),
            after: vec![1],
            ..Default::default()
        },
    ]
}

pub(crate) fn exclusions() -> Vec<Exclusion> {
    vec![Exclusion {
        object: object("user", "u-9", "Eve"),
        obstacle: Obstacle::AddedKept.into(),
        part: String::new(),
        detail: "added since, and the plan keeps it".to_owned(),
    }]
}

pub(crate) fn restore(id: &str, state: RestoreState, verified: bool) -> Restore {
    let warnings = i32::from(state == RestoreState::SucceededWithWarnings);
    Restore {
        name: name("restores", id),
        plan: name("plans", id),
        state: state.into(),
        start_time: at(300),
        end_time: at(360),
        step_count: 2,
        applied: 2 - warnings,
        failed: warnings,
        verification_report: name("reports", "r2"),
        verified,
        snapshot: name("snapshots", "20261123-daily"),
        ..Default::default()
    }
}

pub(crate) fn outcomes() -> Vec<Outcome> {
    let outcome = |step: i32, state: OutcomeState, detail: &str| Outcome {
        step,
        state: state.into(),
        detail: detail.to_owned(),
        time: at(320),
        object: object("user", "u-1", "Ann"),
        action: StepAction::Update.into(),
        ..Default::default()
    };
    vec![
        outcome(1, OutcomeState::Applied, ""),
        outcome(
            2,
            OutcomeState::Conflict,
            "the object changed since the plan was made",
        ),
        outcome(3, OutcomeState::Failed, "Graph answered 400"),
        outcome(4, OutcomeState::Skipped, "step 3 did not succeed"),
    ]
}

fn stored(
    object_type: &str,
    name: &str,
    state: ObjectState,
    json: &serde_json::Value,
) -> SnapshotObject {
    SnapshotObject {
        object: Some(ObjectRef {
            r#type: object_type.to_owned(),
            id: json["id"].as_str().expect("an id").to_owned(),
            display_name: name.to_owned(),
        }),
        state: state.into(),
        json: format!("{json:#}"),
    }
}

/// Objects in the order of a snapshot.
pub(crate) fn damage() -> Damage {
    Damage {
        path: "runs/spoilt".to_owned(),
        kind: DamageKind::Altered.into(),
        detail: "its bytes are not those that were written".to_owned(),
        snapshots: vec![name("snapshots", "s1"), name("snapshots", "s2")],
        holds: "objects".to_owned(),
        unreadable: vec![UnreadableRows {
            r#type: "user".to_owned(),
            first_id: "u-1".to_owned(),
            last_id: "u-9".to_owned(),
            count: 9,
        }],
    }
}

pub(crate) fn objects() -> [SnapshotObject; 5] {
    let (live, deleted) = (ObjectState::Live, ObjectState::SoftDeleted);
    [
        stored(
            "user",
            "Ann",
            live,
            &json!({"id": "u-1", "displayName": "Ann", "userPrincipalName": "ann@contoso.example"}),
        ),
        stored(
            "group",
            "Old",
            deleted,
            &json!({"id": "..", "displayName": "Old"}),
        ),
        stored(
            "group",
            "Finance",
            live,
            &json!({"id": "g-1", "displayName": "Finance", "mailNickname": "fin/nance"}),
        ),
        stored(
            "conditionalAccessPolicy",
            "MFA",
            live,
            &json!({"id": "p-1", "displayName": "MFA"}),
        ),
        stored(
            "oAuth2PermissionGrant",
            "a grant",
            live,
            &json!({"id": "o_1", "clientId": "s-1", "scope": "User.Read"}),
        ),
    ]
}

/// Links in the order of a snapshot.
pub(crate) fn links() -> [SnapshotLink; 2] {
    let link = |relation: &str, source: &str, target: &str| SnapshotLink {
        relation: relation.to_owned(),
        source_id: source.to_owned(),
        target_id: target.to_owned(),
    };
    [
        link("group/members", "g-1", "u-1"),
        link("group/owners", "g-1", "u-9"),
    ]
}

/// A posture with a check of each status.
pub(crate) fn posture() -> Posture {
    let check =
        |id: &str, layer: PostureLayer, status: PostureStatus, sentence: &str| PostureCheck {
            id: id.to_owned(),
            layer: layer as i32,
            status: status as i32,
            points: 10,
            sentence: sentence.to_owned(),
            ..PostureCheck::default()
        };
    let checks = vec![
        check(
            "hard-delete-protected",
            PostureLayer::Action,
            PostureStatus::Good,
            "It is protected.",
        ),
        PostureCheck {
            severity: Severity::High as i32,
            evidence: vec!["seen".to_owned()],
            remedy: "Publish it.".to_owned(),
            ..check(
                "context-published",
                PostureLayer::Context,
                PostureStatus::Finding,
                "The context \"Ops\u{1b}[31m\" is not published.",
            )
        },
        check(
            "policy-enabled",
            PostureLayer::Policy,
            PostureStatus::NotReached,
            "There is nothing to judge.",
        ),
        PostureCheck {
            remedy: "Ask again later.".to_owned(),
            ..check(
                "few-people",
                PostureLayer::Reach,
                PostureStatus::NotKnown,
                "Not known: the roles could not be read.",
            )
        },
    ];
    Posture {
        tenant: format!("tenants/{TENANT}"),
        read_time: at(0),
        score: 10,
        unknown_points: 4,
        checks,
        ..Posture::default()
    }
}

pub(crate) fn signals() -> Vec<Signal> {
    let signal = |rule: &str, severity: Severity, title: &str| Signal {
        name: name("signals", &format!("20261118-daily-{rule}")),
        time: at(0),
        rule: rule.to_owned(),
        severity: severity as i32,
        title: title.to_owned(),
        description: "The rule counts something; its limit is any.".to_owned(),
        source: SignalSource::Drift as i32,
        report: name("reports", "r1"),
        base: name("snapshots", "20261117-daily"),
        target: name("snapshots", "20261118-daily"),
        ..Signal::default()
    };
    let policy = ObjectRef {
        r#type: "conditionalAccessPolicy".to_owned(),
        id: "p-1".to_owned(),
        display_name: "Baseline\u{1b}[31m".to_owned(),
    };
    let changed = SignalEvidence {
        object: Some(policy),
        kind: ChangeKind::Modified as i32,
        activity: Some(Activity {
            activity: "Update policy".to_owned(),
            time: at(-60),
            ..Activity::default()
        }),
    };
    let count = SignalCount {
        r#type: "conditionalAccessPolicy".to_owned(),
        count: 3,
        total: 9,
    };
    vec![
        signal(
            "mass-disable",
            Severity::High,
            "Many users were disabled (user: 6 of 100)",
        ),
        Signal {
            evidence: vec![changed],
            counts: vec![count],
            ..signal(
                "conditional-access",
                Severity::Critical,
                "Conditional Access was changed (conditionalAccessPolicy: 3)",
            )
        },
    ]
}

/// One of the audit log, which lists do not show.
pub(crate) fn audit_signal() -> Signal {
    let object = |r#type: &str, id: &str, name: &str| {
        Some(ObjectRef {
            r#type: r#type.to_owned(),
            id: id.to_owned(),
            display_name: name.to_owned(),
        })
    };
    Signal {
        name: name("signals", "20261118T110000-hard-delete-00"),
        time: at(0),
        rule: "hard-delete".to_owned(),
        severity: Severity::Critical as i32,
        title: "Something was deleted for good (Hard Delete user: Adele)".to_owned(),
        description: "The rule counts something; its limit is any.".to_owned(),
        source: SignalSource::Audit as i32,
        base: name("snapshots", "20261117-daily"),
        actor: Some(Initiator {
            r#type: InitiatorType::User.into(),
            id: "m-1".to_owned(),
            display_name: "mallory@contoso.com".to_owned(),
            ..Initiator::default()
        }),
        audit_ids: vec!["Directory_1".to_owned()],
        targets: vec![
            SignalTarget {
                object: object("user", "u-1", "Adele"),
                in_snapshot: true,
                snapshot_display_name: "Adele Vance".to_owned(),
                ..SignalTarget::default()
            },
            SignalTarget {
                object: object("Role", "r-1", ""),
                ..SignalTarget::default()
            },
        ],
        command: "rewind restore plan --id u-1 --recreate-hard-deleted".to_owned(),
        ..Signal::default()
    }
}

/// What lies in the recycle bins: one that leaves soon, and one of which little is known.
pub(crate) fn deleted() -> Vec<DeletedObject> {
    let object = |r#type: &str, id: &str, name: &str| {
        Some(ObjectRef {
            r#type: r#type.to_owned(),
            id: id.to_owned(),
            display_name: name.to_owned(),
        })
    };
    let by = Initiator {
        r#type: InitiatorType::User.into(),
        id: "m-1".to_owned(),
        display_name: "mallory@contoso.com".to_owned(),
        ..Initiator::default()
    };
    vec![
        DeletedObject {
            object: object("user", "u-1", "Adele"),
            delete_time: at(0),
            expire_time: at(30 * 86_400),
            days_left: 3,
            deletion: Some(activity(0, "Delete user", Some(by), &[])),
            in_latest_snapshot: true,
            expires_soon: true,
        },
        DeletedObject {
            object: object("namedLocation", "l-1", "Office"),
            ..DeletedObject::default()
        },
    ]
}

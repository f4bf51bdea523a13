//! `rewind demo`: the whole story with a practice tenant.
//!
//! Owns the order of the acts and what is told of them. Everything goes
//! through the gateway, as for any other client; only the intruder and the last
//! comparison look at the practice tenant itself.

mod verdict;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use proto::v1::{self, AddedPolicy, RelationshipMode, SnapshotState};
use runtime::exit;
use runtime::ids::{Ids, SystemIds};
use serde_json::{Value, json};
use simulator::attack::{self, AttackTarget, Deed};
use simulator::{Population, ServerHandle, Simulator, TenantSpec};
use tokio::time::Instant;

use crate::args::{DemoArgs, Global};
use crate::client::required;
use crate::commands::{diff, restore, snapshot};
use crate::installation::Installation;
use crate::output::Output;
use crate::render;
use crate::session::Session;
use crate::simulate::TENANT;
use crate::text::{count, word};

/// People in the practice tenant unless the flag says otherwise.
const USERS: usize = 300;
/// One group for so many people.
const USERS_PER_GROUP: usize = 6;
/// The same tenant at every run.
const SEED: u64 = 7;

/// How long work that nobody waits for any more may take to end.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Shows snapshot, attack, report, restore and verification; answers the exit
/// code.
///
/// # Errors
/// What keeps it from going on.
pub(crate) fn run(args: &DemoArgs, global: &Global, output: Output) -> anyhow::Result<u8> {
    let folder = std::env::temp_dir().join(format!("rewind-demo-{}", SystemIds.short()));
    // All of it runs in a runtime of its own: once that is gone, nothing that
    // was stopped half-way puts another file into the folder.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let told = runtime.block_on(Box::pin(tell(args, global, output, folder.clone())));
    runtime.shutdown_timeout(GRACE);
    if !args.keep && folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    told
}

async fn tell(
    args: &DemoArgs,
    global: &Global,
    output: Output,
    folder: PathBuf,
) -> anyhow::Result<u8> {
    let stop = runtime::signal::stop_token()?;
    let story = async {
        let stage = Stage::build(args, global, output, folder).await?;
        let verified = stage.play().await;
        anyhow::Ok((stage, verified))
    };
    let (stage, verified) = tokio::select! {
        story = Box::pin(story) => story?,
        () = stop.cancelled() => anyhow::bail!("the demonstration was stopped"),
    };
    if args.keep {
        stage.tell_how_to_go_on();
        stop.cancelled().await;
    }
    stage.clear().await?;
    Ok(if verified? { exit::DONE } else { exit::FAILED })
}

/// The practice tenant, the four services and a client.
struct Stage {
    simulator: Simulator,
    graph: ServerHandle,
    installation: Installation,
    session: Session,
    output: Output,
    began: Instant,
}

impl Stage {
    async fn build(
        args: &DemoArgs,
        global: &Global,
        output: Output,
        folder: PathBuf,
    ) -> anyhow::Result<Self> {
        let began = Instant::now();
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulator = Simulator::new();
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        let users = args.users.unwrap_or(USERS);
        let population = Population {
            users,
            groups: users / USERS_PER_GROUP,
            seed: SEED,
        };
        tenant.populate(&population);
        let graph = simulator
            .serve(tokio::net::TcpListener::bind(loopback).await?)
            .await;

        let secrets = [
            (
                "REWIND_CREDENTIAL_READER_PRACTICE",
                simulator::READER_SECRET.to_owned(),
            ),
            (
                "REWIND_CREDENTIAL_WRITER_PRACTICE",
                simulator::WRITER_SECRET.to_owned(),
            ),
            ("REWIND_SCHEDULE", "off".to_owned()),
            // The practice tenant has no quotas.
            ("REWIND_GRAPH_LIMITS", "off".to_owned()),
        ];
        let installation = Installation::start(&folder, loopback, &secrets).await?;
        let global = Global {
            gateway: installation.url.clone(),
            token_file: Some(installation.token_file.clone()),
            tenant: Some(model::TenantId::parse(TENANT).context("the practice tenant's id")?),
            ..global.clone()
        };
        let session = Session::open(&global, output).await?;
        Ok(Self {
            simulator,
            graph,
            installation,
            session,
            output,
            began,
        })
    }

    /// All acts; whether the end is as it should be.
    async fn play(&self) -> anyhow::Result<bool> {
        self.act("1. A practice tenant is registered.");
        self.register().await?;
        let people: Vec<String> = [
            "user",
            "group",
            "application",
            "servicePrincipal",
            "namedLocation",
            "conditionalAccessPolicy",
        ]
        .iter()
        .map(|name| {
            format!(
                "{} {name}",
                self.simulator
                    .tenant(TENANT)
                    .map_or(0, |tenant| tenant.count(name))
            )
        })
        .collect();
        self.say(&format!("   It holds {}.", people.join(", ")));

        self.act("2. A snapshot is taken.");
        let snapshot = self.snapshot().await?;
        let before = self.simulator.dump(TENANT);

        self.act("3. An intruder gets in.");
        let deeds = self.attack().await?;

        self.act("4. A difference report tells what changed.");
        let (report, changes) = self.report(&snapshot).await?;
        for change in &changes {
            self.say(&indent(&render::change(change)));
        }

        self.act("5. A restore is planned; nothing is written yet.");
        let (plan, steps, exclusions) = self.plan(&snapshot).await?;
        for step in &steps {
            self.say(&indent(&render::step(step)));
        }
        self.say("   Not restored:");
        for exclusion in &exclusions {
            self.say(&restore::plan::exclusion(exclusion));
        }

        self.act("6. The plan is applied.");
        let restored = self.apply(&plan).await?;

        self.act("7. A second report shows what is left.");
        let (second, left) = self.report(&snapshot).await?;
        for change in &left {
            let kind = word(change.kind().as_str_name(), "CHANGE_KIND_");
            self.say(&format!(
                "   {kind}  {}",
                render::object(change.object.as_ref())
            ));
        }

        let after = self.simulator.dump(TENANT);
        let verdict = verdict::Verdict::of(&deeds, &changes, &restored, &left, (&before, &after));
        let summary = json!({
            "verified": verdict.is_good(),
            "seconds": self.began.elapsed().as_secs_f64(),
            "snapshot": proto::json::to_json("Snapshot", &snapshot),
            "changes": { "made": verdict.made(), "found": verdict.found() },
            "report": proto::json::to_json("Report", &report),
            "plan": proto::json::to_json("Plan", &plan),
            "restore": proto::json::to_json("Restore", &restored),
            "secondReport": proto::json::to_json("Report", &second),
            "left": left.iter().map(|change| proto::json::to_json("Change", change)).collect::<Vec<Value>>(),
            "problems": verdict.problems(),
        });
        self.act("8. The tenant is compared with what it was, object by object.");
        self.output
            .result(|| summary, || verdict.text(self.began.elapsed()))?;
        Ok(verdict.is_good())
    }

    fn act(&self, title: &str) {
        self.output.note(&format!("\n{title}"));
    }

    fn say(&self, text: &str) {
        self.output.note(text);
    }

    async fn register(&self) -> anyhow::Result<()> {
        let credential = |client_id: &str, secret: &str| {
            Some(v1::AppCredential {
                client_id: client_id.to_owned(),
                secret_ref: format!("env:{secret}"),
                ..Default::default()
            })
        };
        let tenant = v1::Tenant {
            id: TENANT.to_owned(),
            display_name: "Practice".to_owned(),
            cloud: "global".to_owned(),
            graph_url: format!("{}/v1.0", self.graph.url()),
            login_url: self.graph.url(),
            reader: credential(
                simulator::READER_CLIENT_ID,
                "REWIND_CREDENTIAL_READER_PRACTICE",
            ),
            writer: credential(
                simulator::WRITER_CLIENT_ID,
                "REWIND_CREDENTIAL_WRITER_PRACTICE",
            ),
            ..Default::default()
        };
        let client = &self.session.client;
        let request = v1::CreateTenantRequest {
            tenant: Some(tenant),
            request_id: client.request_id(),
            validate_only: false,
        };
        required(
            client.tenants().create_tenant(client.unary(request)).await,
            |answer| answer.tenant,
        )?;
        Ok(())
    }

    async fn snapshot(&self) -> anyhow::Result<v1::Snapshot> {
        let client = &self.session.client;
        let request = client.unary(v1::TakeSnapshotRequest {
            parent: parent(),
            request_id: client.request_id(),
        });
        let started = required(client.snapshots().take_snapshot(request).await, |answer| {
            answer.snapshot
        })?;
        let snapshot = snapshot::finished(&self.session, &started.name).await?;
        if snapshot.state() != SnapshotState::Complete {
            let holes = snapshot
                .kinds
                .iter()
                .filter(|kind| !kind.complete)
                .map(|kind| format!("{}: {}", kind.kind, kind.problem));
            anyhow::bail!(
                "the snapshot is not complete: {}",
                holes.collect::<Vec<_>>().join("; ")
            );
        }
        self.say(&format!(
            "   {}: {}, {}, {} bytes encrypted.",
            snapshot.name,
            count(snapshot.object_count, "object", "objects"),
            count(snapshot.link_count, "link", "links"),
            snapshot.stored_bytes
        ));
        Ok(snapshot)
    }

    async fn attack(&self) -> anyhow::Result<Vec<Deed>> {
        let target = AttackTarget {
            graph_url: format!("{}/v1.0", self.graph.url()),
            login_url: self.graph.url(),
            tenant_id: TENANT.to_owned(),
            client_id: simulator::INTRUDER_CLIENT_ID.to_owned(),
            client_secret: simulator::INTRUDER_SECRET.to_owned(),
        };
        let mut deeds = attack::run(&target).await?;
        deeds.extend(attack::run_beyond(&target).await?);
        for deed in &deeds {
            self.say(&format!("   {}", deed.sentence));
        }
        Ok(deeds)
    }

    async fn report(
        &self,
        snapshot: &v1::Snapshot,
    ) -> anyhow::Result<(v1::Report, Vec<v1::Change>)> {
        let client = &self.session.client;
        let request = client.unary(v1::CreateReportRequest {
            parent: parent(),
            base: snapshot.name.clone(),
            request_id: client.request_id(),
            ..Default::default()
        });
        let started = required(client.diffs().create_report(request).await, |answer| {
            answer.report
        })?;
        let report = diff::finished(&self.session, &started.name).await?;
        anyhow::ensure!(
            report.not_compared.is_empty(),
            "not compared: {}",
            report.not_compared.join("; ")
        );
        let changes = diff::changes_of(&self.session, &report.name).await?;
        Ok((report, changes))
    }

    async fn plan(
        &self,
        snapshot: &v1::Snapshot,
    ) -> anyhow::Result<(v1::Plan, Vec<v1::PlanStep>, Vec<v1::Exclusion>)> {
        let client = &self.session.client;
        let options = v1::PlanOptions {
            added: AddedPolicy::SoftDelete.into(),
            relationships: RelationshipMode::Rollback.into(),
            ..Default::default()
        };
        let request = client.unary(v1::CreatePlanRequest {
            parent: parent(),
            snapshot: snapshot.name.clone(),
            options: Some(options),
            request_id: client.request_id(),
            ..Default::default()
        });
        let started = required(client.restores().create_plan(request).await, |answer| {
            answer.plan
        })?;
        let plan = restore::plan::finished(&self.session, &started.name).await?;
        let steps = restore::plan::steps(&self.session, &plan.name).await?;
        let exclusions = restore::plan::exclusions(&self.session, &plan.name).await?;
        Ok((plan, steps, exclusions))
    }

    async fn apply(&self, plan: &v1::Plan) -> anyhow::Result<v1::Restore> {
        let client = &self.session.client;
        let request = client.unary(v1::ApplyPlanRequest {
            name: plan.name.clone(),
            request_id: client.request_id(),
        });
        let started = required(client.restores().apply_plan(request).await, |answer| {
            answer.restore
        })?;
        let restore = restore::apply::ended(&self.session, &started.name).await?;
        self.say(&format!(
            "   {} steps: {} applied, {} had nothing to do, {} conflicts, {} failed, {} skipped.",
            restore.step_count,
            restore.applied,
            restore.already_done,
            restore.conflicts,
            restore.failed,
            restore.skipped
        ));
        Ok(restore)
    }

    fn tell_how_to_go_on(&self) {
        self.output.note(&format!(
            "\neverything stays until ctrl-c; in another terminal:\n  export REWIND_GATEWAY={} REWIND_TOKEN_FILE={}",
            self.installation.url,
            self.installation.token_file.display()
        ));
    }

    async fn clear(self) -> anyhow::Result<()> {
        drop(self.session);
        self.installation.stop().await?;
        self.graph.shutdown().await;
        Ok(())
    }
}

fn parent() -> String {
    format!("tenants/{TENANT}")
}

fn indent(block: &str) -> String {
    block
        .lines()
        .map(|line| format!("   {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

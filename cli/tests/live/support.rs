//! A practice tenant, `rewind up` over a folder of its own, and the client.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::attack::{AttackTarget, Deed, DeedKind};
use simulator::{Counters, Population, ServerHandle, Simulator, TenantHandle, TenantSpec};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// The practice tenant.
pub(crate) const TENANT: &str = "5a1d0000-0000-4000-8000-000000000002";
/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a held request is held: longer than any test.
pub(crate) const FOREVER: Duration = Duration::from_secs(3600);

/// Everything between a user and a tenant.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) tenant: TenantHandle,
    pub(crate) server: ServerHandle,
    folder: tempfile::TempDir,
    up: Option<Up>,
}

/// What a run of `rewind` left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A running `rewind up`; killed where it is dropped.
pub(crate) struct Up {
    child: Child,
    pub(crate) url: String,
    out: JoinHandle<String>,
    log: Arc<Mutex<String>>,
    logging: JoinHandle<()>,
}

/// `rewind` with nothing of this process's settings.
pub(crate) fn rewind() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rewind"));
    for name in [
        "REWIND_GATEWAY",
        "REWIND_TOKEN_FILE",
        "REWIND_TENANT",
        "REWIND_LOG",
    ] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn run(command: &mut Command) -> Run {
    let ended = tokio::time::timeout(DEADLINE, command.output()).await;
    Run::of(ended.expect("rewind ends in time").expect("rewind runs"))
}

/// Sends a signal to a process that this test started.
pub(crate) async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    let told = Command::new("kill").args(["-s", name, &id]).status().await;
    assert!(told.expect("kill runs").success());
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let waiting = async {
        while !so() {
            ticks.tick().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(waited.is_ok(), "it never came to this: {what}");
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The whole of standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that an error says something, and that nothing is a result.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        let run = self.exits(code);
        assert_eq!(run.out, "", "{run:?}");
        run.says(words)
    }

    /// Checks what standard error holds.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:?}");
        }
        self
    }
}

impl Up {
    /// Starts it over a folder and waits until it serves.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::launch(Self::command(data)).await
    }

    /// Starts a command of [`Up::command`] with settings of its own.
    pub(crate) async fn launch(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rewind runs");
        let log = Arc::new(Mutex::new(String::new()));
        let logging = collect(child.stderr.take().expect("a pipe"), Arc::clone(&log));
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        let said = tokio::time::timeout(DEADLINE, out.read_line(&mut ready)).await;
        said.expect("it is ready in time").expect("text");
        let url = ready
            .trim_end()
            .strip_prefix("ready ")
            .unwrap_or_else(|| panic!("no ready line but {ready:?}; {:?}", log.lock()))
            .to_owned();
        let out = tokio::spawn(async move {
            let mut rest = String::new();
            out.read_to_string(&mut rest).await.expect("text");
            rest
        });
        Self {
            child,
            url,
            out,
            log,
            logging,
        }
    }

    /// How it is started.
    pub(crate) fn command(data: &Path) -> Command {
        let mut command = rewind();
        command
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("REWIND_SCHEDULE", "off")
            .env("REWIND_GRAPH_LIMITS", "off")
            .env(
                "REWIND_CREDENTIAL_READER_PRACTICE",
                simulator::READER_SECRET,
            )
            .env(
                "REWIND_CREDENTIAL_WRITER_PRACTICE",
                simulator::WRITER_SECRET,
            )
            .env("REWIND_CREDENTIAL_READER_WRONG", WRONG_SECRET)
            .env("REWIND_CREDENTIAL_WEBHOOK_PRACTICE", WEBHOOK_SECRET)
            .env("REWIND_DELIVERY_SWEEP", "50ms")
            .env("REWIND_SIGNAL_POLL", "50ms")
            .env("REWIND_GUARDED_CHANGES_WAIT", "0s");
        command
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panicked").clone()
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(mut self) -> Run {
        signal(&self.child, "TERM").await;
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = ended.expect("it ends in time").expect("it ends");
        self.logging.await.expect("the log ends");
        Run {
            code: status.code(),
            out: self.out.await.expect("standard output ends"),
            err: self.log.lock().expect("nobody panicked").clone(),
        }
    }
}

/// What signals are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A secret that opens nothing.
pub(crate) const WRONG_SECRET: &str = "this-is-not-the-secret-0815";

fn collect(
    from: impl AsyncRead + Send + Unpin + 'static,
    to: Arc<Mutex<String>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = to.lock().expect("nobody panicked");
            text.push_str(&line);
            text.push('\n');
        }
    })
}

impl World {
    /// A practice tenant and a running `rewind up` that does not know it yet.
    pub(crate) async fn start(users: usize) -> Self {
        let simulator = Simulator::new();
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        tenant.populate(&Population {
            users,
            groups: 12,
            seed: 3,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = simulator.serve(listener).await;
        let mut world = Self {
            simulator,
            tenant,
            server,
            folder: tempfile::tempdir().expect("a folder"),
            up: None,
        };
        world.resume().await;
        world
    }

    /// The same, with the tenant registered and a snapshot taken.
    pub(crate) async fn with_snapshot(users: usize) -> Self {
        let world = Self::start(users).await;
        world.register().await;
        world.snapshot().await;
        world
    }

    /// Where `rewind up` keeps everything.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the tenant's files are.
    pub(crate) fn vault(&self) -> PathBuf {
        self.data().join("store/tenants").join(TENANT)
    }

    pub(crate) fn up(&self) -> &Up {
        self.up.as_ref().expect("it runs")
    }

    /// Starts `rewind up` again on the same folder.
    pub(crate) async fn resume(&mut self) {
        self.up = Some(Up::start(&self.data()).await);
    }

    /// The same, with one more setting.
    pub(crate) async fn resume_with(&mut self, key: &str, value: &Path) {
        let mut command = Up::command(&self.data());
        command.env(key, value);
        self.up = Some(Up::launch(command).await);
    }

    /// Kills `rewind up`, and lets go of requests to the tenant.
    pub(crate) async fn kill(&mut self) {
        self.up.take().expect("it runs").kill().await;
        self.simulator.clear_faults();
    }

    /// Stops `rewind up`.
    pub(crate) async fn stop(&mut self) -> Run {
        self.up.take().expect("it runs").stop().await
    }

    /// `rewind` with the gateway and token of this installation.
    pub(crate) fn client<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = rewind();
        command
            .args(arguments)
            .env("REWIND_GATEWAY", &self.up().url)
            .env("REWIND_TOKEN_FILE", self.data().join("operator.token"));
        command
    }

    /// Runs a command for people.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.client(arguments)).await
    }

    /// Runs a command for programs.
    pub(crate) async fn run_json(&self, arguments: &[&str]) -> Run {
        run(self.client(arguments).args(["--output", "json"])).await
    }

    /// Runs a command for programs that succeeds.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        self.run_json(arguments).await.exits(0).json()
    }

    /// Lets the second person agree to the newest guarded change.
    pub(crate) async fn approve_newest(&self) {
        let changes = self.json(&["tenant", "change", "list"]).await;
        let (name, hash) = (text(&changes[0]["name"]), text(&changes[0]["hash"]));
        let approver = self.data().join("approver.token").display().to_string();
        let approve = ["tenant", "change", "approve", &name, "--hash", &hash];
        let by = ["--token-file", &approver];
        self.run(&[&approve[..], &by].concat()).await.exits(0);
    }

    /// Registers the tenant as the README says.
    pub(crate) async fn register(&self) -> Value {
        self.json(&words(&self.registration())).await
    }

    /// The arguments of the registration.
    pub(crate) fn registration(&self) -> Vec<String> {
        registration(TENANT, &self.server.url(), "PRACTICE")
    }

    /// Takes a snapshot, which must be complete; its name.
    pub(crate) async fn snapshot(&self) -> String {
        let snapshot = self.json(&["snapshot", "take"]).await;
        assert_eq!(snapshot["state"], "SNAPSHOT_STATE_COMPLETE");
        text(&snapshot["name"])
    }

    /// Makes a report against the live tenant; the report's own message.
    pub(crate) async fn report(&self, base: &str) -> Value {
        self.json(&["diff", "create", "--snapshot", base]).await
    }

    /// Checks that a snapshot is whole: that it is complete, can be read, and
    /// says of the untouched tenant that nothing changed.
    pub(crate) async fn is_whole(&self, snapshot: &str) {
        let shown = self.json(&["snapshot", "show", snapshot]).await;
        assert_eq!(shown["state"], "SNAPSHOT_STATE_COMPLETE", "{shown}");
        let report = self.report(snapshot).await;
        assert_eq!(report["notCompared"], json!([]), "{report}");
        let counts = report["counts"].as_object().expect("counts");
        assert!(counts.values().all(|count| count == 0), "{report}");
    }

    /// Lets an intruder loose.
    pub(crate) async fn attack(&self) -> Vec<Deed> {
        let target = AttackTarget::practice(&self.server.url(), TENANT);
        let deeds = simulator::attack::run(&target).await;
        deeds.expect("the intruder gets in")
    }

    /// Calls Graph with the intruder's rights.
    pub(crate) async fn graph(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let client = reqwest::Client::new();
        let url = self.server.url();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", simulator::INTRUDER_CLIENT_ID),
            ("client_secret", simulator::INTRUDER_SECRET),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let answer = client
            .post(format!("{url}/{TENANT}/oauth2/v2.0/token"))
            .form(&form)
            .send()
            .await;
        let answer: Value = answer.expect("a login").json().await.expect("json");
        let token = text(&answer["access_token"]);
        let method = method.parse().expect("a method");
        let mut request = client
            .request(method, format!("{url}/v1.0{path}"))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        let text = answer.text().await.expect("text");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A user that nobody synchronises, so that it can be changed.
    pub(crate) async fn a_user(&self) -> String {
        let select = "/users?$select=id,onPremisesSyncEnabled,userType";
        let users = self.graph("GET", select, None).await;
        let users = users["value"].as_array().expect("a list");
        let free =
            |user: &&Value| user["onPremisesSyncEnabled"] != true && user["userType"] == "Member";
        text(&users.iter().find(free).expect("there is one")["id"])
    }

    /// Sets a user's department.
    pub(crate) async fn set_department(&self, user: &str, department: &str) {
        let body = json!({ "department": department });
        self.graph("PATCH", &format!("/users/{user}"), Some(body))
            .await;
    }

    /// A user's department now.
    pub(crate) async fn department(&self, user: &str) -> String {
        let path = format!("/users/{user}?$select=department");
        text(&self.graph("GET", &path, None).await["department"])
    }

    /// Everything below the data folder, by path.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = std::fs::read(&path).expect("it can be read");
                    files.push((path, content));
                }
            }
        }
        files.sort();
        files
    }
}

/// What is in a folder; nothing where there is none.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// The arguments that register a tenant; `reader` ends the name of the
/// variable with the reader's secret.
pub(crate) fn registration(id: &str, url: &str, reader: &str) -> Vec<String> {
    [
        "tenant",
        "add",
        "--id",
        id,
        "--name",
        "Practice",
        "--graph-url",
        &format!("{url}/v1.0"),
        "--login-url",
        url,
        "--reader-client-id",
        simulator::READER_CLIENT_ID,
        "--reader-secret",
        &format!("env:REWIND_CREDENTIAL_READER_{reader}"),
        "--writer-client-id",
        simulator::WRITER_CLIENT_ID,
        "--writer-secret",
        "env:REWIND_CREDENTIAL_WRITER_PRACTICE",
    ]
    .map(str::to_owned)
    .into()
}

/// Borrowed, as arguments are passed.
pub(crate) fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

/// The largest run in the store: the base that all snapshots stand on.
pub(crate) fn largest_run(data: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it can be listed") {
            let path = entry.expect("it is there").path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    let is_run = |path: &PathBuf| path.to_string_lossy().ends_with(".parquet.age");
    let size = |path: &PathBuf| std::fs::metadata(path).expect("it is there").len();
    let runs = files.into_iter().filter(is_run);
    runs.max_by_key(size).expect("there is a run")
}

/// A JSON string.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text but {value}"))
        .to_owned()
}

/// The items of a JSON list.
#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list but {value}"))
}

/// The ids that no restore brings back.
pub(crate) fn lost(deeds: &[Deed]) -> Vec<String> {
    deeds
        .iter()
        .filter(|deed| deed.kind == DeedKind::HardDeleted)
        .map(|deed| deed.id.clone())
        .collect()
}

/// How the tenant differs from what it was, but for what is lost.
pub(crate) fn differing(world: &World, before: &Value, deeds: &[Deed]) -> Vec<String> {
    let lost = lost(deeds);
    simulator::live_differences(before, &world.simulator.dump(TENANT))
        .into_iter()
        .filter(|sentence| !lost.iter().any(|id| sentence.contains(id.as_str())))
        .collect()
}

/// How many requests with this method were answered.
pub(crate) fn answered(counters: &Counters, method: &str) -> u64 {
    counters
        .requests
        .iter()
        .filter(|(kind, _)| kind.split(' ').next() == Some(method))
        .map(|(_, count)| count)
        .sum()
}

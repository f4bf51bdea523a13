//! Debian's Chromium, driven through its DevTools protocol.
//!
//! The browser reads and writes messages on two pipes, each ended by a zero byte; the
//! shell puts its standard input and output where Chromium expects them.
//!
//! Facts: Chrome DevTools Protocol, `--remote-debugging-pipe`.

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --mute-audio \
    --hide-scrollbars --force-color-profile=srgb --no-proxy-server --remote-debugging-pipe";

/// A browser with one page; it ends when this is dropped.
pub(super) struct Chromium {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
    session: Option<String>,
    /// How many documents were loaded.
    loads: u64,
    /// What the browser complained of: errors of scripts, breaches of the page's policy.
    pub(super) complaints: Vec<String>,
    _profile: TempDir,
}

impl Chromium {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let profile = tempfile::tempdir()?;
        let command = format!(
            "exec chromium {FLAGS} --user-data-dir={} about:blank 3<&0 4>&1 0</dev/null 1>/dev/null",
            profile.path().display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut browser = Self {
            input: child.stdin.take().context("a pipe")?,
            output: BufReader::new(child.stdout.take().context("a pipe")?),
            _child: child,
            next: 0,
            session: None,
            loads: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser
            .command("Target.createTarget", json!({"url": "about:blank"}))
            .await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.command("Target.attachToTarget", attach).await?;
        let session = attached["sessionId"].as_str().context("a session")?;
        browser.session = Some(session.to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.command(domain, json!({})).await?;
        }
        Ok(browser)
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn command(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).await?;
        loop {
            let message = self.message().await?;
            if message["id"] != json!(id) {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!("{method}: {error}");
            }
            return Ok(message["result"].clone());
        }
    }

    /// The next message, with what is worth keeping of it kept.
    async fn message(&mut self) -> anyhow::Result<Value> {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).await?;
        if bytes.pop().is_none() {
            bail!("the browser has ended; is Debian's package chromium installed?");
        }
        let message: Value = serde_json::from_slice(&bytes)?;
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loads += 1,
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(params["exceptionDetails"].to_string());
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.complaints.push(params["entry"].to_string());
            }
            _ => {}
        }
        Ok(message)
    }

    /// Opens an address and waits until it is there.
    pub(super) async fn open(&mut self, url: &str) -> anyhow::Result<()> {
        let before = self.loads;
        self.command("Page.navigate", json!({"url": url})).await?;
        self.loaded(before).await
    }

    /// Runs a script that leads to another page, and waits until that is there.
    pub(super) async fn follow(&mut self, script: &str) -> anyhow::Result<()> {
        let before = self.loads;
        self.run(script).await?;
        self.loaded(before).await
    }

    /// Waits for a document after those that there were.
    async fn loaded(&mut self, before: u64) -> anyhow::Result<()> {
        while self.loads == before {
            self.message().await?;
        }
        Ok(())
    }

    /// Waits until a script says so; pages that the browser goes on to by itself count.
    pub(super) async fn until(&mut self, script: &str) -> anyhow::Result<()> {
        let waiting = format!(
            "new Promise((done) => {{ const look = () => {{ if ({script}) {{ done(true); }} else {{ requestAnimationFrame(look); }} }}; look(); }})"
        );
        // The document may be replaced while it is asked.
        while self.run(&waiting).await.ok() != Some(json!(true)) {}
        Ok(())
    }

    /// What a script comes to.
    pub(super) async fn run(&mut self, script: &str) -> anyhow::Result<Value> {
        let params = json!({
            "expression": script,
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let answer = self.command("Runtime.evaluate", params).await?;
        if let Some(details) = answer.get("exceptionDetails") {
            bail!("{script}: {details}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// As wide as a phone or a screen, in light or dark.
    pub(super) async fn look(&mut self, width: u32, scheme: &str) -> anyhow::Result<()> {
        let size =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.command("Emulation.setDeviceMetricsOverride", size)
            .await?;
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", media).await?;
        Ok(())
    }

    /// Presses a key.
    pub(super) async fn press(&mut self, key: &str, code: u32) -> anyhow::Result<()> {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key,
                "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code,
            });
            self.command("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// The page as a picture, from top to bottom.
    pub(super) async fn picture(&mut self, path: &Path) -> anyhow::Result<()> {
        let layout = self.command("Page.getLayoutMetrics", json!({})).await?;
        let size = &layout["cssContentSize"];
        let height = size["height"].as_f64().unwrap_or(900.0).min(6000.0);
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.command("Page.captureScreenshot", params).await?;
        let text = answer["data"].as_str().context("a picture")?;
        std::fs::write(path, BASE64_STANDARD.decode(text)?)?;
        Ok(())
    }
}

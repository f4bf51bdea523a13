//! The practice tenant's control API, as far as benchmarks use it.
//!
//! Speaks just enough HTTP for that one server on loopback, and must never be used for anything else.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::world::Limits;

/// The control API of one simulator.
pub(crate) struct Control {
    address: String,
}

/// What the simulator was asked since its statistics were cleared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// HTTP requests to Graph, a batch being one.
    pub(crate) requests: u64,
    /// Resource units.
    pub(crate) units: u64,
    /// Bytes of the answers.
    pub(crate) bytes: u64,
    /// Requests that changed something or tried to.
    pub(crate) writes: u64,
    /// Tokens handed out, one request to the login each.
    pub(crate) tokens: u64,
    /// Requests by route, those inside batches too.
    pub(crate) routes: Vec<(String, u64)>,
}

impl Control {
    /// For the simulator at a URL.
    pub(crate) fn at(url: &str) -> Self {
        Self {
            address: url.trim_start_matches("http://").to_owned(),
        }
    }

    /// Change the tenant; how many changes were made.
    pub(crate) fn mutate(&self, seed: u64, changes: u64) -> Result<u64> {
        self.mutate_within("daily", seed, changes)
    }

    /// The same, going as far as a word of the control API says.
    pub(crate) fn mutate_within(&self, reach: &str, seed: u64, changes: u64) -> Result<u64> {
        let body = json!({ "seed": seed, "changes": changes, "reach": reach });
        let answer = self.ask("POST", "mutate", &body.to_string())?;
        let made = answer["changes"].as_array().context("no list of changes")?;
        Ok(made.len() as u64)
    }

    /// Keep other quotas.
    pub(crate) fn throttle(&self, limits: Limits) -> Result<()> {
        let body = json!({ "limits": limits.name() });
        self.ask("PUT", "throttle", &body.to_string()).map(drop)
    }

    /// Start counting at zero.
    pub(crate) fn clear(&self) -> Result<()> {
        self.ask("DELETE", "stats", "").map(drop)
    }

    /// What was asked since.
    pub(crate) fn asked(&self) -> Result<Asked> {
        let stats = self.ask("GET", "stats", "")?;
        let broken = &stats["violations"];
        ensure!(
            broken.as_array().is_some_and(Vec::is_empty),
            "a rule of Graph was broken: {broken}"
        );
        asked(&stats).context("the statistics are not understood")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "{method} /simulator/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let status = head.lines().next().unwrap_or_default();
        let good = status.split(' ').nth(1).is_some_and(|s| s.starts_with('2'));
        ensure!(good, "{method} {path} was answered with {status}: {body}");
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(body).with_context(|| format!("{method} {path} answered no JSON"))
    }
}

fn asked(stats: &Value) -> Option<Asked> {
    let routes: Vec<(String, u64)> = stats["requests"]
        .as_object()?
        .iter()
        .filter_map(|(route, count)| Some((route.clone(), count.as_u64()?)))
        .collect();
    Some(Asked {
        requests: stats["received"].as_u64()?,
        units: stats["units"].as_u64()?,
        bytes: stats["bytes"].as_u64()?,
        writes: stats["writes"].as_u64()?,
        tokens: stats["tokens"].as_u64()?,
        routes,
    })
}

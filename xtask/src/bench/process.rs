//! Processes that are measured: started, awaited, looked at in `/proc`, stopped.
//!
//! Must never leave a process behind: what is started here ends where its value is dropped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long a process may take until it serves; a million objects are made up first.
const START: Duration = Duration::from_secs(600);
/// How often a process that starts is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Clock ticks a second in `/proc`, on every Linux there is.
const TICKS: f64 = 100.0;

/// A running process.
pub(crate) struct Process {
    child: Child,
    name: String,
}

/// What a process has used since it started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU seconds, the kernel's included.
    pub(crate) cpu: f64,
    /// The most memory that was resident, in bytes.
    pub(crate) peak: u64,
}

impl Process {
    /// Start a process that says `ready URL` once it serves.
    pub(crate) fn announced(name: &str, command: &mut Command) -> Result<(Self, String)> {
        let mut process = Self::start(name, command.stdout(Stdio::piped()))?;
        let out = process.child.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let url = line.trim_end().strip_prefix("ready ");
        let url = url.with_context(|| format!("{name} did not start: it said {line:?}"))?;
        let url = url.to_owned();
        Ok((process, url))
    }

    /// Start a process and wait until it listens.
    pub(crate) fn listening(name: &str, command: &mut Command, at: SocketAddr) -> Result<Self> {
        let mut process = Self::start(name, command.stdout(Stdio::null()))?;
        let start = Instant::now();
        while TcpStream::connect(at).is_err() {
            if let Some(status) = process.child.try_wait()? {
                bail!("{name} ended at once, with {status}");
            }
            ensure!(start.elapsed() < START, "{name} does not listen at {at}");
            std::thread::sleep(LOOK);
        }
        Ok(process)
    }

    fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Self {
            child: child.with_context(|| format!("could not start {name}"))?,
            name: name.to_owned(),
        })
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let read = |file: &str| {
            let path = format!("/proc/{}/{file}", self.child.id());
            fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be measured: no {path}", self.name))
        };
        usage(&read("stat")?, &read("status")?)
            .with_context(|| format!("{} cannot be measured", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to save in it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `/proc/PID/stat` and `/proc/PID/status` say.
fn usage(stat: &str, status: &str) -> Option<Usage> {
    // The name, in brackets, may hold spaces; the fields behind it begin with the third.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = |field: usize| {
        let text = fields.split_whitespace().nth(field - 3)?;
        text.parse::<f64>().ok()
    };
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Usage {
        cpu: (ticks(14)? + ticks(15)?) / TICKS,
        peak: kibibytes * 1024,
    })
}

/// An address of loopback that nobody listens at.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_of_a_process_is_understood() {
        let stat = "41 (rewind (snap) x) S 1 41 41 0 -1 4194304 9 0 0 0 250 125 0 0 20 0 5 0";
        let status = "Name:\trewind\nVmPeak:\t  900 kB\nVmHWM:\t    512 kB\nThreads:\t5\n";
        let found = usage(stat, status).map(|usage| (usage.cpu, usage.peak));
        assert_eq!(found, Some((3.75, 512 * 1024)));
        assert!(usage(stat, "Name:\tkthread\n").is_none());
    }
}

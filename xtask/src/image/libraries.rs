//! What a program is linked to at run time, where it is linked so.
//!
//! Owns the reading of what the system's loader would load; a static program has nothing.
//! Only programs of our own are asked, since a loader may run what it is asked about.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A shared library, or the loader itself, under the path at which it is looked for.
pub(super) struct Library {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// What a program needs, with what that needs in turn.
pub(super) fn of(program: &Path) -> Result<Vec<Library>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("could not start `ldd`, which tells what a program is linked to")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        ensure!(
            reason.contains("not a dynamic executable"),
            "`ldd` does not know {}: {reason}",
            program.display()
        );
        return Ok(Vec::new());
    }
    paths(&text)?
        .into_iter()
        .map(|path| {
            let bytes = fs::read(&path).with_context(|| format!("could not read {path}"))?;
            Ok(Library { path, bytes })
        })
        .collect()
}

/// The paths in what `ldd` prints, sorted.
fn paths(text: &str) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        let target = match line.split_once(" => ") {
            Some((name, "not found")) => bail!("the library {name} is not on this machine"),
            Some((_, target)) => target,
            None => line,
        };
        let path = target.split(" (").next().unwrap_or_default();
        // The kernel's own, which no file holds, has no path.
        if path.starts_with('/') {
            paths.push(path.to_owned());
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_found() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd0f5c5000)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f1)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f3)\n";
        assert_eq!(
            paths(text).unwrap(),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib/x86_64-linux-gnu/libm.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
        assert_eq!(paths("\tstatically linked\n").unwrap(), [""; 0]);
        let missing = paths("\tlibssl.so.3 => not found\n").unwrap_err();
        assert_eq!(
            missing.to_string(),
            "the library libssl.so.3 is not on this machine"
        );
    }
}

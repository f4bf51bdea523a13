//! Compiles the contract with a compiler written in Rust, so that a build needs
//! no protoc.

use std::path::PathBuf;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script its folder by this variable alone"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = [
        "access",
        "approval",
        "common",
        "tenant",
        "snapshot",
        "diff",
        "restore",
        "keys",
        "store",
        "signal",
        "protection",
        "grant",
        "audit",
        "lifecycle",
        "overview",
    ]
    .map(|name| root.join(format!("rewind/v1/{name}.proto")));
    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;
    // The encoding of the pool keeps the custom options, which prost's own
    // descriptor types drop.
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(
        out.join("rewind.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

//! Prints the page of the types; `cargo xtask docs` keeps it in `docs/types.md`.
#![allow(clippy::print_stdout, reason = "printing is all that it does")]

fn main() {
    print!("{}", model::catalogue::page::markdown());
}

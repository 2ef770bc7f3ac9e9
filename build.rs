//! The migrations are part of the binary: build again when one is added.

fn main() {
    println!("cargo:rerun-if-changed=state/migrations");
}

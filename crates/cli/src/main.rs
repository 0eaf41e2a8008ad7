//! The command `keepstate`.
fn main() {}

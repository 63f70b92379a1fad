//! Benchmarks of dgen.
fn main() {}

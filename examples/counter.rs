//! A durable counter.
fn main() {}

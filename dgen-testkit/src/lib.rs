//! The contract of dgen's backends as tests that any backend can run

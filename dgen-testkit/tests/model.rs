//! The suite on the reference model: tests the tests.

dgen_testkit::conformance_tests! {
    database: dgen_testkit::model::in_memory(),
    database_in: dgen_testkit::model::in_memory_in,
}

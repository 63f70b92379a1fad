//! The macro from outside: what it accepts, and what it says about what it refuses.
//!
//! One test function, because each starts cargo. `TRYBUILD=overwrite cargo test -p dgen-macros`
//! writes the expected messages anew; read the difference before committing it.

/// SPEC M1, M3, M4: each file says which of them it is for.
#[test]
fn blocks_are_accepted_or_refused_at_the_users_own_tokens() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/accepted/*.rs");
    cases.compile_fail("tests/ui/refused/*.rs");
}

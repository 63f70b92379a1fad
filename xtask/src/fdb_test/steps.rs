//! What is run on the cluster, in this order.

/// Tests or checks that cargo runs.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// Cargo's words, to the `--` before those of what it runs.
    pub(super) cargo: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Tests, each of which counts. If there is none, the step fails.
    Tests,
    /// Those tests in modules `on_cluster`. Beside them are the same for other stores.
    TestsOnCluster,
    /// Passes or fails as a whole.
    Check {
        /// The words behind the `--`.
        words: &'static [&'static str],
        variables: &'static [(&'static str, &'static str)],
    },
}

/// To have more run, put a step here.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "backend",
        cargo: "test --no-fail-fast -p dgen-fdb",
        kind: Kind::Tests,
    },
    Step {
        name: "queue",
        cargo: "test --no-fail-fast -p dgen-queue --features dgen-testkit/fdb --test on_cluster",
        kind: Kind::Tests,
    },
    Step {
        name: "codec",
        cargo: "test --no-fail-fast -p dgen-codec --features dgen-testkit/fdb --test on_cluster",
        kind: Kind::Tests,
    },
    Step {
        name: "server",
        cargo: "test --no-fail-fast -p dgen-server --features dgen-testkit/fdb --tests",
        kind: Kind::TestsOnCluster,
    },
    Step {
        name: "examples",
        // With `--tests`, cargo would not build the examples, which the tests run.
        cargo: "test --no-fail-fast -p dgen-examples --features fdb",
        kind: Kind::TestsOnCluster,
    },
    Step {
        name: "clippy",
        cargo: "clippy -p dgen-fdb -p dgen-examples -p dgen-bench --features dgen-examples/fdb,dgen-bench/fdb --all-targets",
        kind: Kind::Check {
            words: &["-D", "warnings"],
            variables: &[],
        },
    },
    Step {
        name: "doc",
        cargo: "doc -p dgen-fdb --no-deps",
        kind: Kind::Check {
            words: &[],
            variables: &[("RUSTDOCFLAGS", "-D warnings")],
        },
    },
];

//! What is run on the cluster, in this order.

/// Tests or checks that cargo runs.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// Cargo's arguments, to the `--` before those of what it runs.
    pub(super) cargo: &'static [&'static str],
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// Each test counts, and none at all is a failure.
    Tests {
        /// Run the tests in modules `on_cluster` alone, and not those beside them for other stores.
        only_on_cluster: bool,
    },
    /// Passes or fails as a whole.
    Check {
        arguments: &'static [&'static str],
        variables: &'static [(&'static str, &'static str)],
    },
}

/// To have more run, put a step here.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "backend",
        cargo: &["test", "--no-fail-fast", "-p", "dgen-fdb"],
        kind: ALL,
    },
    Step {
        name: "queue",
        cargo: &[
            "test",
            "--no-fail-fast",
            "-p",
            "dgen-queue",
            "--features",
            "dgen-testkit/fdb",
        ],
        kind: ON_CLUSTER,
    },
    Step {
        name: "codec",
        cargo: &[
            "test",
            "--no-fail-fast",
            "-p",
            "dgen-codec",
            "--features",
            "dgen-testkit/fdb",
        ],
        kind: ON_CLUSTER,
    },
    Step {
        name: "server",
        cargo: &[
            "test",
            "--no-fail-fast",
            "-p",
            "dgen-server",
            "--features",
            "dgen-testkit/fdb",
        ],
        kind: ON_CLUSTER,
    },
    Step {
        name: "examples",
        cargo: &[
            "test",
            "--no-fail-fast",
            "-p",
            "dgen-examples",
            "--features",
            "fdb",
        ],
        kind: ON_CLUSTER,
    },
    Step {
        name: "clippy",
        cargo: &["clippy", "-p", "dgen-fdb", "--all-targets"],
        kind: Kind::Check {
            arguments: &["-D", "warnings"],
            variables: &[],
        },
    },
    Step {
        name: "doc",
        cargo: &["doc", "-p", "dgen-fdb", "--no-deps"],
        kind: Kind::Check {
            arguments: &[],
            variables: &[("RUSTDOCFLAGS", "-D warnings")],
        },
    },
];

const ALL: Kind = Kind::Tests {
    only_on_cluster: false,
};

const ON_CLUSTER: Kind = Kind::Tests {
    only_on_cluster: true,
};

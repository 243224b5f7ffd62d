//! The crates and what each may use.

/// The packages that a user of a crate may have to compile.
pub(super) enum Closure {
    /// Any packages.
    Free,
    /// None of these.
    NoneOf(&'static [&'static str]),
    /// With default features none of these.
    NoneByDefault(&'static [&'static str]),
    /// No package of the AWS SDK.
    NoAws,
    /// With default features only these.
    Only(&'static [&'static str]),
    /// With default features at most this many, and with any features none of these.
    Small(usize, &'static [&'static str]),
}

/// One crate.
pub(super) struct CrateRules {
    pub(super) name: &'static str,
    /// The workspace's crates that its code may use; its tests may use any.
    pub(super) uses: &'static [&'static str],
    pub(super) closure: Closure,
}

/// Every crate under `crates`, leaves first: a crate may only use crates above it.
pub(super) const CRATES: &[CrateRules] = &[
    CrateRules {
        name: "host-pattern",
        uses: &[],
        closure: Closure::Only(&["aho-corasick", "memchr", "regex", "regex-automata", "regex-syntax"]),
    },
    CrateRules {
        name: "iam-token",
        uses: &[],
        closure: Closure::Small(58, &["aws-config", "hyper", "native-tls", "openssl", "rustls"]),
    },
    CrateRules {
        name: "token-cache",
        uses: &[],
        // dashmap with its dependencies, and the hasher.
        closure: Closure::Only(&[
            "bitflags",
            "cfg-if",
            "crossbeam-utils",
            "dashmap",
            "foldhash",
            "hashbrown",
            "libc",
            "lock_api",
            "once_cell",
            "parking_lot_core",
            "redox_syscall",
            "scopeguard",
            "smallvec",
            "windows-link",
        ]),
    },
    CrateRules {
        name: "iam-token-provider",
        uses: &["host-pattern", "iam-token", "token-cache"],
        closure: Closure::NoneOf(&["mysql_async", "sqlx-core", "tokio-postgres", "wrapper-core"]),
    },
    CrateRules { name: "wrapper-core", uses: &["host-pattern"], closure: Closure::NoAws },
    CrateRules {
        name: "wrapper-iam",
        uses: &["host-pattern", "iam-token-provider", "wrapper-core"],
        closure: Closure::NoneOf(&["mysql_async", "tokio-postgres"]),
    },
    CrateRules { name: "wrapper-topology", uses: &["host-pattern", "wrapper-core"], closure: Closure::NoAws },
    CrateRules {
        name: "wrapper-adapter",
        // From wrapper-topology: the query for a server's role, and the pace of connects that find
        // no writer.
        uses: &["host-pattern", "wrapper-core", "wrapper-topology"],
        closure: Closure::NoAws,
    },
    CrateRules {
        name: "wrapper-secrets",
        // From wrapper-iam: the source of credentials, which both plugins share.
        uses: &["host-pattern", "iam-token-provider", "token-cache", "wrapper-core", "wrapper-iam"],
        closure: Closure::NoneOf(&["mysql_async", "tokio-postgres"]),
    },
    CrateRules {
        name: "wrapper-pg",
        uses: &["host-pattern", "wrapper-adapter", "wrapper-core"],
        closure: Closure::NoAws,
    },
    CrateRules {
        name: "wrapper-mysql",
        uses: &["host-pattern", "wrapper-adapter", "wrapper-core"],
        closure: Closure::NoAws,
    },
    CrateRules {
        name: "wrapper-sqlx",
        uses: &[
            "host-pattern",
            "iam-token",
            "wrapper-adapter",
            "wrapper-core",
            "wrapper-iam",
            "wrapper-secrets",
            "wrapper-topology",
        ],
        closure: Closure::NoneOf(&["mysql_async", "tokio-postgres"]),
    },
    CrateRules { name: "wrapper-proxy", uses: &["wrapper-adapter", "wrapper-core"], closure: Closure::NoAws },
    CrateRules {
        name: "rds-wrapper",
        uses: &[
            "host-pattern",
            "iam-token",
            "token-cache",
            "wrapper-adapter",
            "wrapper-core",
            "wrapper-iam",
            "wrapper-mysql",
            "wrapper-pg",
            "wrapper-secrets",
            "wrapper-topology",
        ],
        closure: Closure::Free,
    },
    CrateRules {
        name: "rds-iam",
        uses: &[
            "host-pattern",
            "iam-token",
            "token-cache",
            "wrapper-adapter",
            "wrapper-core",
            "wrapper-iam",
            "wrapper-mysql",
            "wrapper-pg",
            "wrapper-proxy",
            "wrapper-secrets",
            "wrapper-topology",
        ],
        closure: Closure::Free,
    },
    // Verifies tokens with its own code, so a bug in iam-token cannot hide itself; the provider is
    // a feature, for clients.
    CrateRules {
        name: "rds-testkit",
        uses: &["iam-token-provider"],
        closure: Closure::NoneByDefault(&["aws-config", "aws-sigv4", "iam-token"]),
    },
];

/// Returns the rules of a crate.
pub(super) fn rules_of(name: &str) -> Option<&'static CrateRules> {
    CRATES.iter().find(|rules| rules.name == name)
}

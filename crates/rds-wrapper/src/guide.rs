//! Guides, by task: see the list in the documentation of the module.
//!
//! Their examples are tested where the features that they use are enabled; the text is always
//! there.

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/accounts.md"))]
pub mod accounts {}

#[doc = include_str!("../docs/aws.md")]
pub mod aws {}

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/ca-bundle.md"))]
pub mod ca_bundle {}

#[doc = include_str!("../docs/capacity.md")]
pub mod capacity {}

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/deployments.md"))]
pub mod deployments {}

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/getting-started.md"))]
pub mod getting_started {}

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/metrics.md"))]
pub mod metrics {}

#[cfg_attr(
    any(not(doctest), all(feature = "postgres", feature = "deadpool")),
    doc = include_str!("../docs/migration.md")
)]
pub mod migration {}

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/network.md"))]
pub mod network {}

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/parameters.md"))]
pub mod parameters {}

#[cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../docs/plugins.md"))]
pub mod plugins {}

#[cfg_attr(
    any(
        not(doctest),
        all(
            feature = "postgres",
            feature = "bb8",
            feature = "deadpool",
            any(feature = "mysql", feature = "mysql-rustls")
        )
    ),
    doc = include_str!("../docs/pools.md")
)]
pub mod pools {}

#[doc = include_str!("../docs/security.md")]
pub mod security {}

#[cfg_attr(
    any(not(doctest), all(feature = "postgres", feature = "deadpool")),
    doc = include_str!("../docs/testing.md")
)]
pub mod testing {}

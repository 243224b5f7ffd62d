#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blue_green;
mod endpoint;
mod error;
mod grammar;
mod kind;
mod name;
mod partition;
mod pattern;
mod region;
#[cfg(feature = "serde")]
mod serde;
mod text;

pub use crate::blue_green::without_green;
pub use crate::endpoint::Endpoint;
pub use crate::error::{Error, ErrorKind};
pub use crate::kind::EndpointKind;
pub use crate::partition::Partition;
pub use crate::pattern::InstancePattern;
pub use crate::region::Region;

#![doc = include_str!("../README.md")]

mod access;
mod admin;
mod admission;
mod allowance;
mod copy;
mod descriptors;
mod failures;
mod limits;
mod listen;
pub mod mysql;
pub mod postgres;
mod proxy;
mod relay;
mod session_stream;
mod socket;
mod source;
mod stats;
mod target;
mod tls;
mod upstream;

pub use access::{Access, InvalidPassword, LocalPassword, Peer};
pub use admin::Admin;
pub use limits::Limits;
pub use listen::{Listen, LocalAddress, TcpPort};
pub use proxy::{Handle, Proxy};
pub use stats::Stats;
pub use target::{EngineTarget, Target};

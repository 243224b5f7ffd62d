//! MySQL and MariaDB clients.

mod client;
mod greeting;
mod login;
mod packet;
mod proof;
mod query;
mod target;
mod upstream;

pub use target::MysqlTarget;
pub use upstream::Session;

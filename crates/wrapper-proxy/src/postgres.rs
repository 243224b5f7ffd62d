//! PostgreSQL clients.

mod cancel;
mod client;
mod message;
mod startup;
mod target;
mod upstream;

pub use target::PostgresTarget;
pub use upstream::Session;

//! PostgreSQL through the adapter, over a server of the testkit.

mod answers;
mod hosts;
mod login;
mod parameters;
mod pools;
mod tls;

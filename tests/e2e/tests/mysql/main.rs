//! MySQL through the adapter, over a server of the testkit.

mod abandoned;
mod answers;
mod cut;
mod given_up;
mod login;
mod parameters;
mod pools;
mod tls;

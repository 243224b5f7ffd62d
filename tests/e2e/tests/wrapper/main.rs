//! Guarantees of both adapters, and of several crates together.

mod cancellation;
mod client_certificates;
mod concurrency;
mod credentials;
mod driver_config;
mod first_mistakes;
mod foreign_parameters;
mod keepalives;
mod migration_page;
mod parameter_page;
mod pool_checks;
mod pool_leftovers;
mod regions;
mod round_trips;
mod seams;
mod secret_rotation;
mod secrets;

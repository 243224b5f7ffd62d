//! Clusters that fail over, under connectors and pools of both engines.

mod connects;
mod diesel;
mod pools;

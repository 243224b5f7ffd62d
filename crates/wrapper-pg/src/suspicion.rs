//! Suspicions raised by errors of the driver.

use std::{error::Error as _, io};

use wrapper_core::{Engine, adapter::Suspicion};

pub(crate) fn suspicion(error: &tokio_postgres::Error) -> Option<Suspicion> {
    if let Some(answer) = error.as_db_error() {
        return Suspicion::of_answer(Engine::Postgres, answer.code().code(), answer.message());
    }
    let is_io = error.source().is_some_and(|source| source.is::<io::Error>());
    (error.is_closed() || is_io).then_some(Suspicion::ConnectionLost)
}

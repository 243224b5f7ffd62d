//! Suspicions raised by errors of the driver.

use mysql_async::{DriverError, Error};
use wrapper_core::{Engine, adapter::Suspicion};

pub(crate) fn suspicion(error: &Error) -> Option<Suspicion> {
    match error {
        Error::Server(answer) => {
            Suspicion::of_answer(Engine::Mysql, &answer.code.to_string(), &answer.message)
        }
        Error::Io(_) | Error::Driver(DriverError::ConnectionClosed) => Some(Suspicion::ConnectionLost),
        _ => None,
    }
}

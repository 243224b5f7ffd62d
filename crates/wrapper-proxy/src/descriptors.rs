//! Waiting for a file descriptor while the process, or the system, has none left.

use std::{error::Error as StdError, io, time::Duration};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::time::{Instant, sleep};
use wrapper_core::{Error, ErrorKind, Result};

/// The pause before another try: descriptors are closed as sessions and failed logins end.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// A connect needs a few at once: its socket, and files and sockets of the credentials and of DNS.
const SPARE: usize = 4;

/// Repeats an operation that fails for lack of a descriptor, until `limit` has passed.
///
/// A client that was accepted holds one descriptor and needs another for the server. Failing it at
/// once would turn a moment of exhaustion into errors of honest clients, while `accept` itself only
/// waits. The operation begins only while a few descriptors are free: the AWS SDK, for one, panics
/// where it cannot open the system's certificates.
pub(crate) async fn awaited<T, F>(limit: Duration, operation: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    awaited_with(spare, limit, operation).await
}

async fn awaited_with<T, F>(
    spare: impl Fn() -> io::Result<()>,
    limit: Duration,
    mut operation: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    loop {
        let attempt = match spare() {
            Err(error) if remedy(&error).is_some() => {
                let message = "no connection to the server can be opened";
                Err(Error::new(ErrorKind::Connect, message).with_source(error))
            }
            // Any other failure, as in a sandbox without Unix sockets, is not about descriptors.
            _ => operation().await,
        };
        let error = match attempt {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(remedy) = remedy(&error) else { return Err(error) };
        if begun.elapsed() + PAUSE > limit {
            let message = format!("{}: {remedy}", error.message());
            return Err(error.with_message(message));
        }
        tracing::debug!(error = format!("{error:#}"), "waiting for a free file descriptor");
        sleep(PAUSE).await;
    }
}

/// Fails if a few descriptors cannot be opened now.
fn spare() -> io::Result<()> {
    let open = |_| Socket::new(Domain::UNIX, Type::STREAM, None);
    (0..SPARE).map(open).collect::<io::Result<Vec<_>>>().map(drop)
}

/// Returns the cause and the remedy if an error, or one of its sources, is a lack of descriptors.
fn remedy(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE) => {
                return Some("too many open files: raise the proxy's limit (`ulimit -n`, `LimitNOFILE=`)");
            }
            Some(Errno::NFILE) => {
                return Some("too many open files in the system: raise its limit (`fs.file-max`)");
            }
            _ => {}
        }
        // `source` of an `io::Error` skips the error that it wraps.
        if let Some(wrapped) = error.get_ref() {
            return remedy(wrapped);
        }
    }
    error.source().and_then(remedy)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn failed(source: io::Error) -> Error {
        Error::new(ErrorKind::Connect, "no TCP connection to db:5432").with_source(source)
    }

    #[tokio::test(start_paused = true)]
    async fn operation_is_repeated_until_a_descriptor_is_free() {
        let mut tries = 0;
        let answer = awaited(LIMIT, || {
            tries += 1;
            ready(match tries {
                1 => Err(failed(Errno::MFILE.into())),
                2 => Err(failed(io::Error::other(failed(Errno::NFILE.into())))),
                tries => Ok(tries),
            })
        });
        assert_eq!(answer.await.expect("a descriptor is free"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn lack_of_descriptors_is_reported_with_its_remedy_after_the_limit() {
        for (errno, expected) in [(Errno::MFILE, "`ulimit -n`"), (Errno::NFILE, "`fs.file-max`")] {
            let begun = Instant::now();

            let error = awaited(LIMIT, || ready(Err::<(), _>(failed(errno.into())))).await;

            let message = error.expect_err("none is free").message().to_owned();
            assert!(message.starts_with("no TCP connection to db:5432: too many open files"), "{message}");
            assert!(message.contains(expected), "{message}");
            assert!(begun.elapsed() <= LIMIT && begun.elapsed() > LIMIT / 2);
        }
    }

    #[tokio::test]
    async fn operation_runs_where_descriptors_cannot_be_tried() {
        let sandbox = || Err(Errno::AFNOSUPPORT.into());

        let answer = awaited_with(sandbox, LIMIT, || ready(Ok(1)));

        assert_eq!(answer.await.expect("is run"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_are_not_repeated() {
        let mut tries = 0;
        let answer = awaited(LIMIT, || {
            tries += 1;
            ready(Err::<(), _>(failed(Errno::CONNREFUSED.into())))
        });
        assert_eq!(answer.await.expect_err("refused").message(), "no TCP connection to db:5432");
        assert_eq!(tries, 1);
    }
}

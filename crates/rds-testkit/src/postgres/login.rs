//! The login, from the startup message to the verdict.

use std::io;

use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey, Startup,
};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::net::TcpStream;

use super::query::Session;
use super::wire::{Wire, error_response};
use super::{State, forward, scram};
use crate::fault::{Fault, PasswordMethod, Phase};
use crate::forward::Target;
use crate::hash;
use crate::journal::{Cancellable, Interrupt};
use crate::random;
use crate::record::{LoginAttempt, Outcome};
use crate::refusal::{Refusal, RefusalDetail};
use crate::server_error::ServerError;
use crate::token_policy::Account;

/// A refusal with the answer that the client gets.
struct RefusalAnswer {
    detail: RefusalDetail,
    error: ServerError,
}

/// The client's proof of its identity.
enum Proof {
    Nothing,
    Password(Vec<u8>),
    Checked(bool),
}

/// The server behind an accepted login.
pub(super) enum Welcome {
    /// This server.
    Here(Session),
    /// A database behind it; the session can be cancelled while the second part is alive.
    Behind(TcpStream, Option<Cancellable>),
}

/// Logs a client in; `None` if it was refused or only cancelled a query.
pub(super) async fn login(
    wire: &mut Wire,
    state: &State,
    attempt: &mut LoginAttempt,
) -> io::Result<Option<Welcome>> {
    let startup = match wire.read().await? {
        Some(PgWireFrontendMessage::Startup(startup)) => startup,
        Some(PgWireFrontendMessage::CancelRequest(request)) => {
            // PostgreSQL cancels over a connection of its own, which gets no answer.
            attempt.forget();
            let key = match request.secret_key {
                SecretKey::I32(key) => Some(key),
                SecretKey::Bytes(_) => None,
            };
            // A key of another length was not issued by this server.
            let (session, key) = (request.pid.cast_unsigned(), key.unwrap_or_default());
            if state.journal.interrupt(session, Some(key), Interrupt::Statement)
                && let Some(target) = &state.forward
            {
                forward::cancel(target, session, key).await?;
            }
            return Ok(None);
        }
        _ => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    wire.expect_messages();
    let parameter = |name| startup.parameters.get(name).cloned();
    attempt.entry.user = parameter("user").unwrap_or_default();
    attempt.entry.database = parameter("database").unwrap_or_else(|| attempt.entry.user.clone());
    negotiate_version(wire, &startup)?;
    state.faults.pass(Phase::Startup).await?;
    match judge(wire, state, attempt).await? {
        Ok(()) => {
            // Before the answer: a test that has seen it must find the attempt.
            attempt.end(Outcome::Accepted, "");
            wire.send(PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
            state.faults.pass(Phase::Ready).await?;
            match &state.forward {
                Some(target) => hand_over(wire, state, target, &startup, &attempt.entry.database).await,
                None => welcome(wire, state, attempt).await.map(|session| Some(Welcome::Here(session))),
            }
        }
        Err(refusal) => {
            let RefusalAnswer { detail, error } = *refusal;
            attempt.end(Outcome::Refused(detail.refusal), detail.detail);
            wire.send(error_response("FATAL", &error)).await?;
            Ok(None)
        }
    }
}

/// Negotiates a client that requests more than protocol 3.0 down to that version.
fn negotiate_version(wire: &mut Wire, startup: &Startup) -> io::Result<()> {
    let options =
        startup.parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect::<Vec<_>>();
    if startup.protocol_number_minor == 0 && options.is_empty() {
        return Ok(());
    }
    let answer = NegotiateProtocolVersion::new(Startup::PROTOCOL_VERSION_3_0, options);
    wire.feed(PgWireBackendMessage::NegotiateProtocolVersion(answer))
}

/// Applies the rules in PostgreSQL's order: `pg_hba.conf`, then the required proof.
async fn judge(
    wire: &mut Wire,
    state: &State,
    attempt: &mut LoginAttempt,
) -> io::Result<Result<(), Box<RefusalAnswer>>> {
    let (user, database) = (attempt.entry.user.clone(), attempt.entry.database.clone());
    if !attempt.entry.tls {
        let detail = RefusalDetail::new(Refusal::NoTls, "");
        return Ok(refuse_with(detail, ServerError::encryption_missing(&user, &database)));
    }
    if !state.databases.is_empty() && !state.databases.contains(&database) {
        let detail = RefusalDetail::new(Refusal::NoRule, format!("database {database:?}"));
        return Ok(refuse_with(detail, ServerError::rule_missing(&user, &database)));
    }
    let account = state.token_policy.account(&user);
    let method = method(state, account.as_ref());
    let proof = ask(wire, method, account.as_ref()).await?;
    if let Proof::Password(password) = &proof {
        attempt.password(password);
    }
    state.faults.pass(Phase::Login).await?;
    let injected = state.faults.take(|fault| match fault {
        Fault::Refuse(error) => Some(error.clone()),
        _ => None,
    });
    let verdict = match injected {
        Some(error) => refuse_with(RefusalDetail::new(Refusal::Injected, ""), error),
        None => check(state, &user, account, method, &proof),
    };
    Ok(verdict.map_err(|refusal| echo(state, refusal, &proof)))
}

/// Returns the password method; `rds_iam` means `pam`, which needs the password in clear text.
fn method(state: &State, account: Option<&Account>) -> PasswordMethod {
    let asked = state.faults.take(|fault| match fault {
        Fault::Ask(method) => Some(*method),
        _ => None,
    });
    asked.unwrap_or(match account {
        Some(Account::Iam) => PasswordMethod::Cleartext,
        _ => state.password_method,
    })
}

async fn ask(wire: &mut Wire, method: PasswordMethod, account: Option<&Account>) -> io::Result<Proof> {
    match method {
        PasswordMethod::Cleartext => {
            wire.send(PgWireBackendMessage::Authentication(Authentication::CleartextPassword)).await?;
            let mut password = wire.read_password().await?;
            // The password ends with a NUL.
            let end = password.iter().position(|byte| *byte == 0).unwrap_or(password.len());
            password.truncate(end);
            Ok(Proof::Password(password))
        }
        PasswordMethod::Md5 => {
            let salt = random::bytes::<4>()?.to_vec();
            wire.send(PgWireBackendMessage::Authentication(Authentication::MD5Password(salt))).await?;
            wire.read_password().await?;
            Ok(Proof::Checked(false))
        }
        PasswordMethod::ScramSha256 => {
            let password = match account {
                Some(Account::Password(password)) => Some(password.as_str()),
                _ => None,
            };
            Ok(Proof::Checked(scram::check(wire, password).await?))
        }
        PasswordMethod::Trust => Ok(Proof::Nothing),
    }
}

fn check(
    state: &State,
    user: &str,
    account: Option<Account>,
    method: PasswordMethod,
    proof: &Proof,
) -> Result<(), Box<RefusalAnswer>> {
    let password_refused = |refusal| {
        refuse_with(
            RefusalDetail::new(refusal, format!("asked by {method:?}")),
            ServerError::password_refused(user),
        )
    };
    match (account, proof) {
        // Only now, after the exchange: PostgreSQL does not reveal which users exist.
        (None, _) => password_refused(Refusal::NoSuchUser),
        (Some(_), Proof::Nothing | Proof::Checked(true)) => Ok(()),
        (Some(Account::Iam), Proof::Password(token)) => {
            state.token_policy.verify(&state.endpoint, user, token).or_else(|detail| {
                let error = match detail.refusal {
                    Refusal::Expired if state.endpoint.is_dsql() => ServerError::dsql_expired(),
                    _ if state.endpoint.is_dsql() => ServerError::dsql_refused(),
                    _ => ServerError::pam_refused(user),
                };
                refuse_with(detail, error)
            })
        }
        (Some(Account::Password(expected)), Proof::Password(given))
            if hash::equal(expected.as_bytes(), given) =>
        {
            Ok(())
        }
        _ => password_refused(Refusal::WrongPassword),
    }
}

fn refuse_with(detail: RefusalDetail, error: ServerError) -> Result<(), Box<RefusalAnswer>> {
    Err(Box::new(RefusalAnswer { detail, error }))
}

fn echo(state: &State, mut refusal: Box<RefusalAnswer>, proof: &Proof) -> Box<RefusalAnswer> {
    if let Proof::Password(password) = proof
        && state.faults.take(|fault| matches!(fault, Fault::EchoPassword).then_some(())).is_some()
    {
        refusal.error.message.push_str(": ");
        refusal.error.message.push_str(&String::from_utf8_lossy(password));
    }
    refusal
}

/// Opens the session at the database behind and forwards its messages.
async fn hand_over(
    wire: &mut Wire,
    state: &State,
    target: &Target,
    startup: &Startup,
    database: &str,
) -> io::Result<Option<Welcome>> {
    match forward::open(target, &startup.parameters, database).await {
        Ok(Ok(upstream)) => {
            let cancellable = upstream.key.map(|(session, key)| state.journal.adopt(session, key));
            wire.feed_bytes(&upstream.greeting);
            Ok(Some(Welcome::Behind(upstream.stream, cancellable)))
        }
        Ok(Err(message)) => {
            wire.feed_bytes(&message);
            Ok(None)
        }
        Err(error) => {
            let message = format!("rds-testkit: no session at the database behind: {error}");
            wire.send(error_response("FATAL", &ServerError::new("08006", message))).await?;
            Ok(None)
        }
    }
}

async fn welcome(wire: &mut Wire, state: &State, attempt: &LoginAttempt) -> io::Result<Session> {
    // Never 0, which means that there is no key.
    let key = i32::from_be_bytes(random::bytes()?) | 1;
    let cancellable = state.journal.open(key);
    // Numbers of sessions have 31 bits.
    let pid = cancellable.session as i32;
    let session = Session::new(&attempt.entry.user, &attempt.entry.database, state, cancellable);
    for (name, value) in session.parameters(state) {
        let status = ParameterStatus::new(name.to_owned(), value);
        wire.feed(PgWireBackendMessage::ParameterStatus(status))?;
    }
    let key = BackendKeyData::new(pid, SecretKey::I32(key));
    wire.feed(PgWireBackendMessage::BackendKeyData(key))?;
    wire.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle))).await?;
    Ok(session)
}

//! The login, from the client's packet to the verdict.

use std::io;

use super::packet::{ASK_FOR_CLEAR_TEXT, capability};
use super::wire::{Reader, Wire};
use super::{AuthPlugin, HostileBehavior, State, answer, scramble};
use crate::fault::{Fault, PasswordMethod, Phase};
use crate::record::{LoginAttempt, Outcome};
use crate::refusal::{Refusal, RefusalDetail};
use crate::server_error::ServerError;
use crate::token_policy::Account;

/// A refusal with the answer that the client gets.
struct RefusalAnswer {
    detail: RefusalDetail,
    error: ServerError,
}

/// The client's answer to the greeting.
pub(super) struct Login {
    pub(super) capabilities: u32,
    /// The maximum packet size, the character set, and the filler before the user.
    pub(super) head: Vec<u8>,
    pub(super) user: String,
    proof: Vec<u8>,
    pub(super) database: String,
    plugin: String,
    /// The rest after the plugin: attributes and the compression level.
    pub(super) rest: Vec<u8>,
}

/// Logs a client in; returns `None` if it was refused.
pub(super) async fn login(
    wire: &mut Wire,
    state: &State,
    attempt: &mut LoginAttempt,
    packet: &[u8],
    nonce: &[u8],
) -> io::Result<Option<Login>> {
    let login = Login::read(packet)?;
    attempt.entry.user.clone_from(&login.user);
    attempt.entry.database.clone_from(&login.database);
    state.faults.pass(Phase::Startup).await?;
    match judge(wire, state, attempt, &login, nonce).await? {
        Ok(()) => {
            state.faults.pass(Phase::Ready).await?;
            attempt.end(Outcome::Accepted, "");
            Ok(Some(login))
        }
        Err(refusal) => {
            let RefusalAnswer { detail, error } = *refusal;
            attempt.end(Outcome::Refused(detail.refusal), detail.detail);
            wire.send(&answer::packet(&error)).await?;
            Ok(None)
        }
    }
}

impl Login {
    fn read(packet: &[u8]) -> io::Result<Self> {
        let mut reader = Reader(packet);
        let capabilities = reader.number()?;
        // The longest packet, the character set, and 23 bytes that are unused but by MariaDB.
        let head = reader.bytes(4 + 1 + 23)?.to_vec();
        let user = reader.text()?;
        let length = reader.bytes(1)?[0];
        let proof = reader.bytes(length.into())?.to_vec();
        let has = |capability| capabilities & capability != 0;
        let database = if has(capability::CONNECT_WITH_DB) { reader.text()? } else { String::new() };
        let plugin = if has(capability::PLUGIN_AUTH) { reader.text()? } else { String::new() };
        let rest = reader.0.to_vec();
        Ok(Self { capabilities, head, user, proof, database, plugin, rest })
    }
}

async fn judge(
    wire: &mut Wire,
    state: &State,
    attempt: &mut LoginAttempt,
    login: &Login,
    nonce: &[u8],
) -> io::Result<Result<(), Box<RefusalAnswer>>> {
    let user = login.user.as_str();
    let account = state.token_policy.account(user);
    let asked = state.faults.take(|fault| match fault {
        Fault::Ask(method) => Some(*method),
        _ => None,
    });
    let verdict = match (asked, account) {
        (Some(PasswordMethod::Trust), _) => Ok(()),
        (Some(PasswordMethod::Cleartext) | None, Some(Account::Iam)) => {
            if !attempt.entry.tls && !state.misbehaves(&HostileBehavior::AskWithoutTls) {
                return Ok(refuse(Refusal::NoTls, "", user));
            }
            let token = ask(wire, state).await?;
            attempt.password(&token);
            state.faults.pass(Phase::Login).await?;
            let verdict = match injected(state) {
                Some(error) => refuse_with(RefusalDetail::new(Refusal::Injected, ""), error),
                None => state
                    .token_policy
                    .verify(&state.endpoint, user, &token)
                    .or_else(|detail| refuse_with(detail, ServerError::access_denied(user))),
            };
            verdict.map_err(|refusal| echo(state, refusal, &token))
        }
        (_, account) => prove(wire, state, login, account, nonce).await?,
    };
    // After the proof, as in MySQL: a stranger does not learn which databases exist.
    let is_known = state.databases.is_empty() || state.databases.contains(&login.database);
    Ok(verdict.and_then(|()| match is_known || login.database.is_empty() {
        true => Ok(()),
        false => refuse_with(
            RefusalDetail::new(Refusal::NoRule, format!("database {:?}", login.database)),
            ServerError::unknown_database(&login.database),
        ),
    }))
}

/// Asks for the token; RDS sends no data with the request, other servers send some.
async fn ask(wire: &mut Wire, state: &State) -> io::Result<Vec<u8>> {
    wire.send(&[ASK_FOR_CLEAR_TEXT, &state.switch_data].concat()).await?;
    let mut token = wire.read(state).await?;
    // A client ends the password with a NUL.
    if token.last() == Some(&0) {
        token.pop();
    }
    Ok(token)
}

/// Checks a password by its proof.
async fn prove(
    wire: &mut Wire,
    state: &State,
    login: &Login,
    account: Option<Account>,
    nonce: &[u8],
) -> io::Result<Result<(), Box<RefusalAnswer>>> {
    let mut proof = login.proof.clone();
    // The client has guessed another plugin, so its proof is of no use.
    if login.plugin != state.plugin.name() {
        let request = [b"\xfe", state.plugin.name().as_bytes(), b"\0", nonce, b"\0"].concat();
        wire.send(&request).await?;
        proof = wire.read(state).await?;
    }
    state.faults.pass(Phase::Login).await?;
    if let Some(error) = injected(state) {
        return Ok(refuse_with(RefusalDetail::new(Refusal::Injected, ""), error));
    }
    let detail = format!("asked by {}", state.plugin.name());
    match account {
        Some(Account::Password(password)) if scramble::is_proof(state.plugin, &password, nonce, &proof) => {
            if state.plugin == AuthPlugin::CachingSha2 {
                // "The proof was enough": no full authentication follows.
                wire.send(&[1, 3]).await?;
            }
            Ok(Ok(()))
        }
        Some(_) => Ok(refuse(Refusal::WrongPassword, &detail, &login.user)),
        None => Ok(refuse(Refusal::NoSuchUser, &detail, &login.user)),
    }
}

fn injected(state: &State) -> Option<ServerError> {
    state.faults.take(|fault| match fault {
        Fault::Refuse(error) => Some(error.clone()),
        _ => None,
    })
}

fn refuse(refusal: Refusal, detail: &str, user: &str) -> Result<(), Box<RefusalAnswer>> {
    refuse_with(RefusalDetail::new(refusal, detail), ServerError::access_denied(user))
}

fn refuse_with(detail: RefusalDetail, error: ServerError) -> Result<(), Box<RefusalAnswer>> {
    Err(Box::new(RefusalAnswer { detail, error }))
}

fn echo(state: &State, mut refusal: Box<RefusalAnswer>, token: &[u8]) -> Box<RefusalAnswer> {
    if state.faults.take(|fault| matches!(fault, Fault::EchoPassword).then_some(())).is_some() {
        refusal.error.message.push_str(": ");
        refusal.error.message.push_str(&String::from_utf8_lossy(token));
    }
    refusal
}

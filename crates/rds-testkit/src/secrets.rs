//! AWS Secrets Manager on loopback.

mod http;
mod sigv4;
mod store;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use self::http::Request;
use self::sigv4::Signed;
use self::store::Store;
use crate::accept::accept;
use crate::access_key::AccessKey;
use crate::bounded::{Bounded, cut};
use crate::clock;
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::hash;
use crate::token_policy::parse_timestamp;

/// The maximum difference between a request's time and the server's.
const SKEW: Duration = Duration::from_secs(300);

/// AWS Secrets Manager on 127.0.0.1: `GetSecretValue`, with versions and stages.
///
/// It verifies the signature of each request with its own code. Give [`url`](Self::url) to the
/// client as its endpoint, and [`access_key`](Self::access_key) as its credentials. It lives in the
/// tokio runtime that started it and stops when dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rds_testkit::Error> {
/// use rds_testkit::SecretsServer;
///
/// let secrets = SecretsServer::start().await?;
/// secrets.put("prod/app", r#"{"username":"app","password":"first"}"#);
/// secrets.rotate("prod/app", r#"{"username":"app","password":"second"}"#); // AWSPENDING
/// secrets.finish_rotation("prod/app"); // … is AWSCURRENT now, and the first AWSPREVIOUS.
/// # Ok(())
/// # }
/// ```
pub struct SecretsServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Dropping it stops the server.
    _alive: watch::Sender<()>,
}

struct Shared {
    key: AccessKey,
    region: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    store: Store,
    requests: Bounded<SecretRequest>,
    failures: Vec<(usize, SecretsError)>,
    gate: Option<Gate>,
}

/// A request that a [`SecretsServer`] answered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SecretRequest {
    /// The requested name or ARN; empty if the request was refused before it was read.
    pub secret_id: String,
    /// The access key id in its signature, verified or not.
    pub access_key_id: String,
    /// The error in the answer, by the service's name for it; `None` for a secret.
    pub error: Option<String>,
}

/// An error of the service, for [`SecretsServer::fail`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretsError {
    status: u16,
    kind: String,
    message: String,
}

impl SecretsError {
    /// Creates an error with the service's name for it, such as `InternalServiceError`.
    pub fn new(status: u16, kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, kind: kind.into(), message: message.into() }
    }

    /// Refuses because `secretsmanager:GetSecretValue` is missing.
    #[must_use]
    pub fn access_denied() -> Self {
        let message = "User is not authorized to perform: secretsmanager:GetSecretValue \
                       because no identity-based policy allows the secretsmanager:GetSecretValue action";
        Self::new(400, "AccessDeniedException", message)
    }

    /// Refuses because `kms:Decrypt` is missing.
    #[must_use]
    pub fn kms_denied() -> Self {
        Self::new(400, "AccessDeniedException", "Access to KMS is not allowed")
    }

    /// Refuses because of too many requests.
    #[must_use]
    pub fn throttled() -> Self {
        Self::new(400, "ThrottlingException", "Rate exceeded")
    }

    fn not_found(what: &str) -> Self {
        Self::new(
            400,
            "ResourceNotFoundException",
            format!("Secrets Manager can't find the specified {what}."),
        )
    }
}

impl SecretsServer {
    /// Starts the service for `us-east-2`, without secrets, on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no port or no random bytes.
    pub async fn start() -> Result<Self> {
        Self::start_in("us-east-2").await
    }

    /// Starts the service for another region.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_in(region: &str) -> Result<Self> {
        let key = AccessKey::generate().map_err(|error| Error::io("no access key could be made", error))?;
        let no_port = |error| Error::io("no port on 127.0.0.1", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(no_port)?;
        let addr = listener.local_addr().map_err(no_port)?;
        let shared = Arc::new(Shared { key, region: region.to_owned(), state: Mutex::default() });
        let (alive, gone) = watch::channel(());
        tokio::spawn(listen(listener, shared.clone(), gone));
        Ok(Self { addr, shared, _alive: alive })
    }

    /// Returns the endpoint: `http://127.0.0.1:` and the port.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns the region that requests must be signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.shared.region
    }

    /// Returns the credentials that requests must be signed with.
    #[must_use]
    pub fn access_key(&self) -> &AccessKey {
        &self.shared.key
    }

    /// Returns the environment of a program under test: the credentials, the region and the
    /// endpoint.
    #[must_use]
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.shared.key.env();
        pairs.push(("AWS_REGION", self.shared.region.clone()));
        pairs.push(("AWS_EC2_METADATA_DISABLED", "true".to_owned()));
        pairs.push(("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.url()));
        pairs
    }

    /// Creates a secret, or gives it a new version that is `AWSCURRENT` at once; returns the
    /// version's id.
    pub fn put(&self, name: &str, text: impl Into<String>) -> String {
        self.state().store.put(name, text.into().into())
    }

    /// As [`put`](Self::put), for a secret that is not text.
    pub fn put_binary(&self, name: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.state().store.put(name, store::Content::Binary(bytes.into()))
    }

    /// Begins a rotation: gives the secret a version that is `AWSPENDING`; returns its id.
    pub fn rotate(&self, name: &str, text: impl Into<String>) -> String {
        self.state().store.rotate(name, text.into().into())
    }

    /// Ends a rotation: `AWSPENDING` becomes `AWSCURRENT`, and that becomes `AWSPREVIOUS`. Returns
    /// whether one was in progress.
    pub fn finish_rotation(&self, name: &str) -> bool {
        self.state().store.finish(name)
    }

    /// Deletes a secret and returns whether it existed.
    pub fn delete(&self, name: &str) -> bool {
        self.state().store.delete(name)
    }

    /// Returns the ARN of a secret of this name, whether it exists or not.
    #[must_use]
    pub fn arn(&self, name: &str) -> String {
        arn(&self.shared.region, name)
    }

    /// Answers the next `times` correctly signed requests with this error.
    pub fn fail(&self, times: usize, error: SecretsError) {
        if times > 0 {
            self.state().failures.push((times, error));
        }
    }

    /// Holds all answers from now on until the gate opens.
    pub fn hold(&self, gate: &Gate) {
        self.state().gate = Some(gate.clone());
    }

    /// Returns the last 10,000 answered requests, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<SecretRequest> {
        self.state().requests.to_vec()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies a request and returns the secret that it asks for.
    fn answer(
        &self,
        request: &Request,
        now: SystemTime,
    ) -> (SecretRequest, std::result::Result<Value, SecretsError>) {
        let mut seen = SecretRequest { secret_id: String::new(), access_key_id: String::new(), error: None };
        let outcome = self.try_answer(request, now, &mut seen);
        seen.error = outcome.as_ref().err().map(|error| error.kind.clone());
        (seen, outcome)
    }

    fn try_answer(
        &self,
        request: &Request,
        now: SystemTime,
        seen: &mut SecretRequest,
    ) -> std::result::Result<Value, SecretsError> {
        let refuse = |kind: &str, message: &str| Err(SecretsError::new(400, kind, message));
        let Some(signed) = Signed::of(request) else {
            return refuse("MissingAuthenticationTokenException", "Missing Authentication Token");
        };
        seen.access_key_id = cut(signed.access_key_id).to_owned();
        // The session token is a part of the key: with another one the service knows no such key.
        let is_session = request.header("x-amz-security-token") == self.key.session_token();
        if signed.access_key_id != self.key.access_key_id() || !is_session {
            return refuse(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            );
        }
        let at = parse_timestamp(signed.date);
        let is_now = at.is_some_and(|at| at <= now + SKEW && now <= at + SKEW);
        let is_for_us = signed.region_and_service() == (&*self.region, "secretsmanager");
        if !is_for_us || !is_now || !signed.is_valid(request, self.key.secret_access_key()) {
            let what = if is_now { "does not match the signature you provided" } else { "is expired" };
            return refuse(
                "InvalidSignatureException",
                &format!("The request signature we calculated {what}."),
            );
        }
        if request.method != "POST" || request.header("x-amz-target") != Some("secretsmanager.GetSecretValue")
        {
            return refuse("UnknownOperationException", "rds-testkit answers GetSecretValue alone");
        }
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |name: &str| asked[name].as_str();
        let Some(id) = text("SecretId").filter(|id| !id.is_empty()) else {
            return refuse("InvalidParameterException", "SecretId is missing");
        };
        seen.secret_id = cut(id).to_owned();
        let mut state = self.state();
        // After the signature: an unsigned request must not use up a failure.
        if let Some((left, error)) = state.failures.first_mut() {
            let error = error.clone();
            *left -= 1;
            if *left == 0 {
                state.failures.remove(0);
            }
            return Err(error);
        }
        let arns = arn(&self.region, "");
        let name = state.store.name(id, &arns).ok_or_else(|| SecretsError::not_found("secret"))?;
        let version = state.store.version(&name, text("VersionId"), text("VersionStage"));
        let version =
            version.ok_or_else(|| SecretsError::not_found("secret value for the version or stage"))?;
        Ok(version.describe(&name, &arn(&self.region, &name), now))
    }
}

impl fmt::Debug for SecretsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsServer").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Returns the ARN of a secret of this name; for an empty name, the start of every ARN.
fn arn(region: &str, name: &str) -> String {
    let partition = if region.starts_with("cn-") { "aws-cn" } else { "aws" };
    let suffix = if name.is_empty() { String::new() } else { format!("-{}", suffix(name)) };
    format!("arn:{partition}:secretsmanager:{region}:123456789012:secret:{name}{suffix}")
}

/// Returns the six characters that the service appends to a secret's ARN.
fn suffix(name: &str) -> String {
    hash::hex(&hash::sha256(name.as_bytes())[..3])
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, mut gone: watch::Receiver<()>) {
    loop {
        tokio::select! {
            // Woken only when the sender is dropped.
            _ = gone.changed() => return,
            stream = accept(&listener) => {
                let (shared, mut gone) = (shared.clone(), gone.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        // A broken connection is the client's concern.
                        _ = serve(stream, &shared) => {}
                        _ = gone.changed() => {}
                    }
                });
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = Request::read(&mut stream).await? {
        // Cloned out of the lock, whose guard must not be held across the await.
        let gate = shared.state().gate.clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let (seen, outcome) = shared.answer(&request, clock::system());
        // Before the answer: a test that has seen it must find the request.
        shared.state().requests.push(seen);
        match outcome {
            Ok(body) => http::respond(&mut stream, 200, None, &body.to_string()).await?,
            Err(error) => {
                let body =
                    json!({ "__type": error.kind, "message": error.message, "Message": error.message });
                http::respond(&mut stream, error.status, Some(&error.kind), &body.to_string()).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

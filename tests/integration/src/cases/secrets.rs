//! Passwords of Secrets Manager that rotate under a pool at work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use rds_testkit::SecretsServer;
use rds_wrapper::{IamTokenProvider, SecretProvider};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Table, key};
use crate::{
    Result,
    environment::{Engine, Environment, OF_SECRETS, Observation, REGION},
    login::{Login, Signer},
    pool::Pool,
    report::Report,
};

/// The secret's name.
pub(super) const ID: &str = "prod/app";

/// How many tasks connect beside one another.
const TASKS: usize = 8;

/// How many connects there are before and after a rotation.
const CONNECTS: usize = 40;

/// How long these may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    let [(app, first), (clone, second)] = OF_SECRETS;

    let service = service(app, first).await?;
    let rotated = rotation(&table, &service, async |service: &SecretsServer| {
        // The database has the new password before the secret, as in every rotation by one user.
        set_password(environment, (app, first), "later password").await?;
        service.put(ID, secret(app, "later password"));
        Ok(())
    });
    let seen = environment.observe_fallible(rotated).await?;
    table.row(
        "secret of one user rotated under a pool",
        "app, app, 0 errors, at most 3 calls; not asked",
        &seen,
    );

    let service = self::service(app, "later password").await?;
    let rotated = rotation(&table, &service, async |service: &SecretsServer| {
        // The former user's password stays good until the next rotation.
        service.put(ID, secret(clone, second));
        set_password(environment, (app, "later password"), first).await
    });
    let seen = environment.observe_fallible(rotated).await?;
    table.row(
        "secret of two users rotated under a pool",
        "app, app_clone, 0 errors, at most 3 calls; not asked",
        &seen,
    );
    Ok(())
}

/// Starts a service that holds the secret of a user.
pub(super) async fn service(user: &str, password: &str) -> Result<SecretsServer> {
    let service = SecretsServer::start().await?;
    service.put(ID, secret(user, password));
    Ok(service)
}

/// The text of a secret.
pub(super) fn secret(user: &str, password: &str) -> String {
    serde_json::json!({ "username": user, "password": password }).to_string()
}

/// Lets a user change the own password.
async fn set_password(environment: &Environment, (user, old): (&str, &str), new: &str) -> Result<()> {
    let connector = Login::by_password(environment, user, old).connector(&Signer::new(&key())?)?;
    let sql = match environment.engine {
        // By the function, which is gone in MySQL 8: MariaDB would take the bare text for a hash.
        Engine::Mariadb | Engine::Mysql => format!("SET PASSWORD = PASSWORD('{new}')"),
        Engine::Postgres => format!("ALTER ROLE CURRENT_USER PASSWORD '{new}'"),
    };
    connector.execute(&sql).await
}

/// Connects all the time through a pool, rotates meanwhile, and says who was logged in as whom
/// before and after, what went wrong and how often the service was asked.
async fn rotation(
    table: &Table<'_>,
    service: &SecretsServer,
    rotate: impl AsyncFnOnce(&SecretsServer) -> Result<()>,
) -> Result<Observation> {
    let aws = service.access_key();
    let credentials =
        Credentials::new(aws.access_key_id(), aws.secret_access_key(), None, None, "integration");
    let tokens = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()?;
    let provider = SecretProvider::builder(ID)
        .region(REGION)
        .endpoint(service.url())
        .credentials(tokens.credentials())
        .build()?;
    let login = Login::by_token(table.environment, "jane").with("secretRotationRetryTimeoutMs", "20000");
    let load = Load::begin(&login.with_secret(provider)?.pool(8)?);
    load.reach(CONNECTS).await?;
    rotate(service).await?;
    load.reach(load.count() + CONNECTS).await?;
    let outcomes = load.end().await?;
    let errors: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err().cloned()).collect();
    let users: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_deref().ok()).collect();
    let (first, last) =
        (users.first().copied().unwrap_or_default(), users.last().copied().unwrap_or_default());
    let calls = match service.requests().len() {
        0..=3 => "at most 3 calls".to_owned(),
        calls => format!("{calls} calls"),
    };
    let mut details = errors.clone();
    details.truncate(3);
    Ok(Observation { text: format!("{first}, {last}, {} errors, {calls}", errors.len()), details })
}

/// Tasks that connect all the time.
struct Load {
    done: Arc<AtomicUsize>,
    stops: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<(usize, Outcome)>>>,
}

/// Who a connection was logged in as, or why there was none.
type Outcome = std::result::Result<String, String>;

impl Load {
    fn begin(pool: &Pool) -> Self {
        let (done, stops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let task = |_| {
            let (pool, done, stops) = (pool.clone(), Arc::clone(&done), Arc::clone(&stops));
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                while !stops.load(Ordering::SeqCst) {
                    let outcome = pool.log_in().await.map_err(|error| format!("{error:?}"));
                    outcomes.push((done.fetch_add(1, Ordering::SeqCst), outcome));
                }
                outcomes
            })
        };
        let tasks = (0..TASKS).map(task).collect();
        Self { done, stops, tasks }
    }

    fn count(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits until there were so many connects.
    async fn reach(&self, count: usize) -> Result<()> {
        let reached = async {
            while self.count() < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = timeout(LIMIT, reached).await;
        reached.map_err(|_| format!("{} of {count} connects within {LIMIT:?}", self.count()).into())
    }

    /// Ends the tasks, and returns what came of their connects in the order of their ends.
    async fn end(self) -> Result<Vec<Outcome>> {
        self.stops.store(true, Ordering::SeqCst);
        let mut outcomes = Vec::new();
        for task in self.tasks {
            outcomes.extend(task.await?);
        }
        // The tasks end in any order, but the row compares the first connect with the last.
        outcomes.sort_by_key(|(turn, _)| *turn);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }
}

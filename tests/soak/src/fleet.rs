//! A deploy: many processes open their pools at once at a server that throttles logins.

use std::{
    env,
    io::{Write, stdin, stdout},
    process::Stdio,
    time::Duration,
};

use rds_testkit::PostgresServer;
use rds_wrapper::{pg, plugins};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::output;

/// The argument of a process of the fleet.
pub(crate) const MEMBER: &str = "member";

const PROCESSES: usize = 50;
const POOL: usize = 20;
/// What RDS allows of logins by token.
const PER_SECOND: usize = 200;
/// How long an application waits after a connect that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Measures a fleet of connectors without retries, and one of connectors that retry.
pub(crate) fn run() -> Result<(), String> {
    let runtime = Builder::new_multi_thread().enable_all().build().expect("starts");
    output::line(format_args!("{PROCESSES} processes with pools of {POOL}, {PER_SECOND} logins a second"));
    output::line("iamLoginRetryTimeoutMs   all in after   logins refused   errors of applications");
    for retry in [0, 20_000] {
        runtime.block_on(measure(retry)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn measure(retry: u32) -> Result<(), Box<dyn std::error::Error>> {
    let server = PostgresServer::builder().start().await?;
    server.token_policy().limit_logins(PER_SECOND);
    let url = format!("{}&iamLoginRetryTimeoutMs={retry}", server.url());
    let begun = Instant::now();
    let mut members: Vec<Child> = Vec::new();
    for _ in 0..PROCESSES {
        let mut member = Command::new(env::current_exe()?);
        member.arg(MEMBER).envs(server.env()).env("DATABASE_URL", &url).kill_on_drop(true);
        members.push(member.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    }
    let mut errors = 0;
    for member in &mut members {
        let said = member.stdout.take().ok_or("it says nothing")?;
        let line = BufReader::new(said).lines().next_line().await?.ok_or("a process ended")?;
        errors += line.parse::<usize>()?;
    }
    let took = begun.elapsed();
    for mut member in members {
        // Its standard input ends, and then it does.
        drop(member.stdin.take());
        member.wait().await?;
    }
    let (accepted, refused) = (server.accepted(), server.refused());
    if accepted != PROCESSES * POOL {
        return Err(format!("{accepted} logins for {} connections", PROCESSES * POOL).into());
    }
    let took = format!("{took:.1?}");
    output::line(format_args!("{retry:>22}   {took:>12}   {refused:>14}   {errors:>22}"));
    Ok(())
}

/// Fills a pool, says how many errors that cost, and keeps it until its standard input ends.
pub(crate) fn member() -> Result<(), String> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts");
    runtime.block_on(fill()).map_err(|error| error.to_string())
}

async fn fill() -> Result<(), Box<dyn std::error::Error>> {
    let url = env::var("DATABASE_URL")?;
    let connector = pg::Connector::builder(plugins()).connection_string(url).build()?;
    let pool = connector.deadpool_builder().max_size(POOL).build()?;
    let mut tasks = JoinSet::new();
    for _ in 0..POOL {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut errors = 0;
            loop {
                match pool.get().await {
                    Ok(connection) => return (connection, errors),
                    Err(_) => errors += 1,
                }
                sleep(PAUSE).await;
            }
        });
    }
    let held = tasks.join_all().await;
    let errors: usize = held.iter().map(|(_, errors)| errors).sum();
    writeln!(stdout(), "{errors}")?;
    tokio::task::spawn_blocking(|| stdin().read_line(&mut String::new())).await??;
    Ok(())
}

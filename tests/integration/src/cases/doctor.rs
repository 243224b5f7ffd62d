//! `rds-iam inspect`, and `rds-iam doctor`: whether it names the cause.

use serde_json::Value;

use super::{Table, key};
use crate::{
    Result,
    environment::{Engine, Environment, HOST, OTHER_HOST, Observation, REGION},
    postgres::Server,
    programs::{Programs, run as ran},
    report::Report,
    scratch::free_port,
    sources::{Given, Sources, Variables},
};

/// Runs the cases that every engine has.
pub(crate) async fn run(
    environment: &Environment,
    sources: &Sources,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    let mut doctor = Doctor::new(environment, sources, programs, report)?;
    let url = Url::of(environment);
    doctor.row("healthy", "logged in; accepted", &url).await?;
    doctor.with("no credentials", "credentials-missing; not asked", &url, &Vec::new()).await?;
    sources.give(Given { ends_in: -60, ..Given::FIRST })?;
    let profile = sources.environment(&sources.profile("process"));
    doctor.with("credentials expired", "credentials-expired; not asked", &url, &profile).await?;
    sources.give(Given::FIRST)?;

    doctor.row("region wrong", "region; region", &url.and("iamRegion=us-east-1")).await?;
    doctor.row("port signed wrong", "signed-port; endpoint", &url.and("iamDefaultPort=1")).await?;
    let closed = Url { port: free_port()?, ..url.clone() };
    doctor.row("port closed", "port-closed; not asked", &closed).await?;
    let stranger = Url { authority: environment.other_authority().display().to_string(), ..url.clone() };
    doctor.row("authority wrong", "unknown-issuer; not asked", &stranger).await?;
    let other = Url { host: OTHER_HOST, ..url.clone() };
    doctor.row("name wrong", "wrong-name; not asked", &other).await?;
    let legacy = Url { user: "legacy", ..url.clone() };
    doctor.row("user by password", "grant-missing; not asked", &legacy).await?;
    let mallory = Url { user: "mallory", ..url.clone() };
    doctor.row("user not in the policy", "policy; policy", &mallory).await?;

    // Everything but the program is six minutes behind, which is the same as the program being
    // ahead.
    environment.record_at(&[&key()], -360)?;
    sources.give(Given { ahead: -360, ..Given::FIRST })?;
    doctor.row("clock 6 min ahead", "clock-off; future", &url).await?;
    sources.give(Given::FIRST)?;

    // The server shows nothing of this: to be among the three most likely is all that can be had.
    environment.record(&[])?;
    doctor.row("key unknown", "credentials-refused among 3; key", &url).await
}

/// Runs the cases of PostgreSQL alone, whose TLS can be switched off while it runs.
pub(crate) async fn postgres(
    server: &Server,
    sources: &Sources,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    let mut doctor = Doctor::new(server.environment(), sources, programs, report)?;
    doctor.inspect().await?;
    server.set_tls(false).await?;
    doctor.row("no tls", "tls-not-offered; not asked", &Url::of(server.environment())).await?;
    server.set_tls(true).await
}

struct Doctor<'a> {
    table: Table<'a>,
    sources: &'a Sources,
    programs: &'a Programs,
}

impl<'a> Doctor<'a> {
    fn new(
        environment: &'a Environment,
        sources: &'a Sources,
        programs: &'a Programs,
        report: &'a mut Report,
    ) -> Result<Self> {
        environment.record(&[&key()])?;
        sources.give(Given::FIRST)?;
        Ok(Self { table: Table { environment, report }, sources, programs })
    }

    async fn row(&mut self, case: &str, expected: &str, url: &Url) -> Result<()> {
        self.with(case, expected, url, &key().variables()).await
    }

    /// Examines with these variables.
    async fn with(&mut self, case: &str, expected: &str, url: &Url, variables: &Variables) -> Result<()> {
        let examined = async {
            let mut command = self.programs.command(self.programs.rds_iam(), variables);
            command.args(["doctor", "--json", "--time-url", self.sources.address(), &url.text()]);
            let ran = ran(command).await?;
            let json: Value = serde_json::from_str(&ran.out)
                .map_err(|error| format!("no report ({error}): {}{}", ran.out, ran.err))?;
            let wanted = expected.split([' ', ';']).next().unwrap_or_default();
            Ok(Observation { text: cause(&json, wanted), details: vec![ran.out] })
        };
        let seen = self.table.environment.observe_fallible(examined).await?;
        self.table.row(&format!("doctor: {case}"), expected, &seen);
        Ok(())
    }

    async fn inspect(&mut self) -> Result<()> {
        let mut command = self.programs.command(self.programs.rds_iam(), &Vec::new());
        command.args(["inspect", "--json", HOST]);
        let ran = ran(command).await?;
        let json: Value = serde_json::from_str(&ran.out)?;
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let seen =
            Observation { text: format!("{}, {}", text("kind"), text("region")), details: vec![ran.out] };
        self.table.row("rds-iam inspect", &format!("instance endpoint, {REGION}"), &seen);
        Ok(())
    }
}

/// Returns the first cause, or the wanted one among the others.
fn cause(report: &Value, wanted: &str) -> String {
    let causes: Vec<&str> = report["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|cause| cause["code"].as_str())
        .collect();
    match causes.first() {
        None => "logged in".to_owned(),
        Some(_) if causes[1..].contains(&wanted) => format!("{wanted} among {}", causes.len()),
        Some(first) => (*first).to_owned(),
    }
}

/// A connection string in its parts.
#[derive(Clone)]
struct Url {
    /// Scheme and database.
    engine: (&'static str, &'static str),
    user: &'static str,
    host: &'static str,
    port: u16,
    authority: String,
    more: String,
}

impl Url {
    fn of(environment: &Environment) -> Self {
        let engine = match environment.engine {
            Engine::Mariadb | Engine::Mysql => ("mysql", ""),
            Engine::Postgres => ("postgres", "postgres"),
        };
        let authority = environment.authority().display().to_string();
        Self { engine, user: "jane", host: HOST, port: environment.port, authority, more: String::new() }
    }

    fn and(&self, more: &str) -> Self {
        Self { more: format!("&{more}"), ..self.clone() }
    }

    fn text(&self) -> String {
        let Self { engine: (scheme, database), user, host, port, authority, more } = self;
        format!("{scheme}://{user}@{host}:{port}/{database}?plugins=iam&sslrootcert={authority}{more}")
    }
}

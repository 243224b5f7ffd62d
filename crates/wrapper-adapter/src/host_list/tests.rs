//! Lists of hosts and ports, right and wrong.

use std::sync::Mutex;

use super::*;
use wrapper_core::{
    BoxFuture, Engine, Next, Opening,
    adapter::{MockDriver, Phase, RawParameters, Rows, WRAPPER_PARAMETERS},
    events::CredentialsFailure,
    plugin_fn,
};

fn settings(pairs: &[(&str, &str)]) -> Result<Options> {
    let mut given = RawParameters::new();
    for (name, value) in pairs {
        given.configure(name, *value).expect("fits");
    }
    Options::read(&given, WRAPPER_PARAMETERS)
}

fn hosts(
    driver: impl Driver<Connection = ConnectRequest>,
    names: &[&str],
    pairs: &[(&str, &str)],
) -> Result<HostList<impl Driver<Connection = ConnectRequest>>> {
    let requests = names.iter().map(|name| ConnectRequest::new(name, 5432, "jane")).collect();
    HostList::new(Wrapper::new(driver, Vec::new()), requests, false, &settings(pairs)?)
}

/// Never answers.
struct BlackHole;

impl Driver for BlackHole {
    type Connection = ConnectRequest;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query<'a>(&'a self, _: &'a mut ConnectRequest, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        unreachable!("nothing is open")
    }

    fn connect(&self, _: ConnectRequest) -> BoxFuture<'_, Result<ConnectRequest>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn next_host_is_tried_after_any_failure() {
    let driver = MockDriver::new();
    driver.fail(Error::new(ErrorKind::Login, "refused"));
    let hosts = hosts(driver.clone(), &["a.example", "b.example"], &[]).expect("fits");

    let connected = hosts.connect().await.expect("the second accepts");

    assert_eq!(connected.established.host(), "b.example");
    assert_eq!(driver.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn timeout_bounds_the_whole_and_names_the_phase() {
    let hosts =
        hosts(BlackHole, &["a.example", "b.example"], &[("wrapperConnectTimeout", "5000")]).expect("fits");
    let start = Instant::now();

    let error = hosts.connect().await.expect_err("no host answers");

    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("a.example:5432") && error.to_string().contains("waiting for a plugin"),
        "{error}"
    );
}

/// Leads the connect to `b.example`, which does not answer the login.
struct Moves;

impl Driver for Moves {
    type Connection = ConnectRequest;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query<'a>(&'a self, _: &'a mut ConnectRequest, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        unreachable!("nothing is open")
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<ConnectRequest>> {
        Box::pin(async move {
            request.progress().dial(([10, 0, 0, 2], 5432).into());
            request.progress().enter(Phase::Login);
            std::future::pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_names_the_host_that_a_plugin_led_to() {
    let moves = plugin_fn("move", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move { next.run(request.with_host("b.example")).await })
    });
    let wrapper = Wrapper::new(Moves, vec![Arc::new(moves)]);
    let requests = vec![ConnectRequest::new("a.example", 5432, "jane")];
    let hosts = HostList::new(wrapper, requests, false, &settings(&[]).expect("fits")).expect("fits");

    let error = hosts.connect().await.expect_err("no host answers");

    assert_eq!(
        error.to_string(),
        "no connection to `a.example:5432` within 30.0s, still logging in at `b.example` (10.0.0.2:5432)"
    );
}

#[tokio::test]
async fn instance_follows_from_the_host_or_the_pattern() {
    let cluster = "db.cluster-abc123.us-east-2.rds.amazonaws.com";
    let derived = hosts(MockDriver::new(), &[cluster], &[]).expect("fits").instance("one").expect("derived");
    let connected = derived.connect().await.expect("connects");
    assert_eq!(connected.established.host(), "one.abc123.us-east-2.rds.amazonaws.com");

    let pattern = [("clusterInstanceHostPattern", "db-?.internal.example:6432")];
    let given =
        hosts(MockDriver::new(), &["10.0.0.1"], &pattern).expect("fits").instance("one").expect("given");
    let request = given.connect().await.expect("connects").established;
    assert_eq!(
        (request.host(), request.port(), request.instance()),
        ("db-one.internal.example", 6432, Some("one"))
    );
}

#[test]
fn instance_missing_pattern_names_the_parameter() {
    let hosts = hosts(MockDriver::new(), &["10.0.0.1"], &[]).expect("fits");

    let error = hosts.instance("one").expect_err("no pattern");

    assert!(error.to_string().contains("`clusterInstanceHostPattern`"), "{error}");
}

#[test]
fn server_name_with_several_hosts_is_refused() {
    let error = hosts(MockDriver::new(), &["a.example", "b.example"], &[("tlsServerName", "c.example")])
        .expect_err("one name for two hosts");

    assert!(error.to_string().contains("`tlsServerName` is one name, and several hosts"), "{error}");
}

#[tokio::test]
async fn server_name_is_not_taken_to_an_instance() {
    let pairs = [("tlsServerName", "cert.example"), ("clusterInstanceHostPattern", "?.internal.example")];
    let hosts = hosts(MockDriver::new(), &["10.0.0.1"], &pairs).expect("fits");

    assert_eq!(hosts.connect().await.expect("connects").connection.tls_name(), "cert.example");
    let instance = hosts.instance("one").expect("is named").connect().await.expect("connects");
    assert_eq!(instance.connection.tls_name(), "one.internal.example");
}

#[test]
fn invalid_host_is_reported_and_not_shown() {
    for host in ["db.example", "10.0.0.1", "::1", "[::1]", "fe80::1%eth0", "db_1"] {
        assert!(check_host(host).is_ok(), "{host}");
    }
    let check = |host: &str, says: &str| {
        let error = check_host(host).expect_err("missing host").to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    };
    check("jane:hunter2@db.example", "found user info");
    check("postgres://jane:hunter2@db.example/app", "`postgres://` URL where a host name is expected");
    check("db.example:5432", "found port 5432 behind `db.example`");
    check("db.example:hunter2", "a port is a number");
    check("run/postgresql", "the folder of a unix socket begins with `/`");
    check("db.example/hunter2", "found a path");
    check("a hunter2", "whitespace");
}

#[test]
fn parameters_wrong() {
    let message = |name, value| {
        hosts(MockDriver::new(), &["a.example"], &[(name, value)]).expect_err("does not fit").to_string()
    };

    assert!(message("tlsServerName", "10.0.0.1").contains("must be a DNS name"));
    assert!(message("tlsServerName", "a b").contains("must be a DNS name"));
    assert!(
        message("clusterInstanceHostPattern", "db.example")
            .contains("`clusterInstanceHostPattern` does not fit")
    );
}

/// Hosts behind a plugin that waits for credentials, none of which come before `after`.
fn hosts_behind_credentials(after: Option<Duration>) -> (MockDriver, HostList<MockDriver>) {
    let slow = plugin_fn("slow", move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            request.progress().enter(Phase::Credentials);
            match after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            next.run(request).await
        })
    });
    let driver = MockDriver::new();
    let requests =
        ["a.example", "b.example", "c.example"].map(|name| ConnectRequest::new(name, 5432, "jane"));
    let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(slow)]);
    let settings = settings(&[("wrapperConnectTimeout", "6000")]).expect("fits");
    let hosts = HostList::new(wrapper, requests.to_vec(), false, &settings).expect("fits");
    (driver, hosts)
}

#[tokio::test(start_paused = true)]
async fn hanging_credentials_cost_the_time_once() {
    let (driver, hosts) = hosts_behind_credentials(None);
    let start = Instant::now();

    let error = hosts.connect().await.expect_err("no credentials");

    assert_eq!(start.elapsed(), Duration::from_secs(6));
    assert_eq!(error.kind(), ErrorKind::Credentials(CredentialsFailure::TimedOut));
    assert!(error.to_string().contains("still waiting for credentials"), "{error}");
    assert!(driver.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn slow_credentials_do_not_cost_a_host_its_share() {
    let (driver, hosts) = hosts_behind_credentials(Some(Duration::from_secs(5)));

    let connection = hosts.connect().await.expect("they came in time");

    assert_eq!(connection.established.host(), "a.example");
    assert_eq!(driver.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn failed_credentials_end_the_loop_over_hosts() {
    let driver = MockDriver::new();
    driver.fail(Error::new(ErrorKind::Credentials(CredentialsFailure::Failed), "the source is down"));
    let hosts = hosts(driver.clone(), &["a.example", "b.example"], &[]).expect("fits");

    let error = hosts.connect().await.expect_err("no credentials");

    assert_eq!(error.to_string(), "the source is down");
    assert_eq!(driver.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_database_is_asked_for_over_the_same_driver() {
    let driver = MockDriver::new();
    let hosts = hosts(driver.clone(), &["a.example"], &[]).expect("fits");

    let other = hosts.with_database("reports").expect("a name");
    drop(other.connect().await.expect("connects"));

    assert_eq!(driver.requests()[0].database(), Some("reports"));
    assert!(hosts.requests()[0].database().is_none());
    assert!(hosts.with_database("").is_err() && hosts.with_database("a\0b").is_err());
}

/// Lets connections to the second host pass, and notes for which hosts it was asked.
#[derive(Debug, Default)]
struct PassesSecond(Mutex<Vec<String>>);

impl Plugin<ConnectRequest> for PassesSecond {
    fn code(&self) -> &str {
        "passesSecond"
    }

    fn connect<'a>(
        &'a self,
        request: ConnectRequest,
        next: Next<'a, ConnectRequest>,
    ) -> Opening<'a, ConnectRequest> {
        next.run(request.with_host("elsewhere.example"))
    }

    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        _: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        self.0.lock().expect("not poisoned").push(request.host().to_owned());
        let passes = request.host() == "b.example";
        let refused = || Error::new(ErrorKind::WrongInstance, "not the second");
        Box::pin(async move { if passes { Ok(()) } else { Err(refused()) } })
    }
}

/// Asks nothing.
struct Silent;

impl Session for Silent {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query<'a>(&'a mut self, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async { Ok(Rows::default()) })
    }
}

#[tokio::test]
async fn pooled_connection_is_judged_by_the_host_that_it_was_opened_for() {
    let plugin = Arc::new(PassesSecond::default());
    let list = |hosts: &[&str]| {
        let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(Arc::clone(&plugin)) as _]);
        let requests = hosts.iter().map(|host| ConnectRequest::new(host, 5432, "jane")).collect();
        HostList::new(wrapper, requests, false, &settings(&[]).expect("fits")).expect("fits")
    };
    let asked = || std::mem::take(&mut *plugin.0.lock().expect("not poisoned"));
    let (both, second) = (list(&["a.example", "b.example"]), list(&["b.example"]));
    let connected = both.connect().await.expect("connects").established;
    assert_eq!(connected.host(), "elsewhere.example");

    both.check(&mut Silent, Some(&connected)).await.expect_err("was opened for the first");
    assert_eq!(asked(), ["a.example"]);
    let of_second = second.connect().await.expect("connects").established;
    second.check(&mut Silent, Some(&of_second)).await.expect("was opened for the second");
    assert_eq!(asked(), ["b.example"]);
    both.check(&mut Silent, None).await.expect("may lead to the second");
    assert_eq!(asked(), ["a.example", "b.example"]);
    list(&["a.example"]).check(&mut Silent, None).await.expect_err("leads to the first");
}

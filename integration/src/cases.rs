//! The cases that every engine has to pass.

pub(crate) mod mysql;
pub(crate) mod peers;
pub(crate) mod postgres;
pub(crate) mod sources;

mod tokens;

use std::time::Duration;

use crate::{
    Result,
    key::Key,
    login::{Login, Product, seen},
    report::Report,
    site::{HOST, Seen, Site},
};

/// The logins at once: five less than the connections that a PostgreSQL server takes as it comes.
const AT_ONCE: usize = 95;

/// A key that the server knows.
pub(crate) fn key() -> Key {
    Key {
        id: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        session_token: None,
    }
}

/// A temporary key that the server knows, with a session token that makes tokens of 1.9 kB, as long as RDS sees them.
fn temporary_key() -> Key {
    let session_token = "IQoJb3JpZ2luX2VjEOLTmUuRNp/I3DZ4mDicTZVCko6bQf1wMMy+LEiQIP9=".repeat(24);
    Key { id: "ASIAIOSFODNN7EXAMPLE", session_token: Some(session_token), ..key() }
}

/// Runs the cases.
pub(crate) async fn run(site: &Site, report: &mut Report) -> Result<()> {
    site.know(&[&key(), &temporary_key()])?;
    let mut table = Table { site, report };
    accepted(&mut table).await?;
    refused(&mut table).await?;
    unverified(&mut table).await?;
    tokens::run(&mut table).await?;
    over_time(&mut table).await?;
    at_once(&mut table).await
}

struct Table<'a> {
    site: &'a Site,
    report: &'a mut Report,
}

impl Table<'_> {
    async fn login(&mut self, case: &str, expected: &str, login: Login, product: Product) -> Result<()> {
        let seen = login.run(self.site, &product).await?;
        self.row(case, expected, &seen);
        Ok(())
    }

    fn row(&mut self, case: &str, expected: &str, seen: &Seen) {
        self.report.row(self.site.engine.name(), case, expected, seen);
    }
}

async fn accepted(table: &mut Table<'_>) -> Result<()> {
    let (site, product) = (table.site, || Product::new(&key()));
    let jane = Login::by_token(site, "jane");
    table.login("good", "in as jane; accepted", jane.clone(), product()?).await?;
    table
        .login("session token", "in as jane; accepted", jane.clone(), Product::new(&temporary_key())?)
        .await?;
    for user in ["Jane Doe", "a@b+c/d%e"] {
        let login = Login::by_token(site, user);
        table.login(&format!("user `{user}`"), &format!("in as {user}; accepted"), login, product()?).await?;
    }
    let by_address = jane.clone().with("host", "127.0.0.1").with("iamHost", HOST);
    table.login("address with iamHost", "in as jane; accepted", by_address, product()?).await?;
    let by_alias = jane.clone().with("host", "db.internal.example").with("iamHost", HOST);
    table.login("custom domain with iamHost", "in as jane; accepted", by_alias, product()?).await?;
    table
        .login(
            "clock 14 min 50 s behind",
            "in as jane; accepted",
            jane.clone(),
            Product::behind(&key(), 890)?,
        )
        .await?;
    table.login("clock 4 min ahead", "in as jane; accepted", jane, Product::ahead(&key(), 240)?).await
}

async fn refused(table: &mut Table<'_>) -> Result<()> {
    let (site, product) = (table.site, || Product::new(&key()));
    let jane = Login::by_token(site, "jane");
    table.login("expired", "Login; expired", jane.clone(), Product::behind(&key(), 901)?).await?;
    table.login("clock 6 min ahead", "Login; future", jane.clone(), Product::ahead(&key(), 360)?).await?;
    // The name is one that the certificate covers, so that the login is reached.
    let elsewhere =
        jane.clone().with("iamHost", "other.abc123.us-east-2.rds.amazonaws.com").with("tlsServerName", HOST);
    table.login("host wrong", "Login; endpoint", elsewhere, product()?).await?;
    table
        .login("port wrong", "Login; endpoint", jane.clone().with("iamDefaultPort", "1"), product()?)
        .await?;
    table
        .login("region wrong", "Login; region", jane.clone().with("iamRegion", "us-east-1"), product()?)
        .await?;
    table
        .login("user not in the policy", "Login; policy", Login::by_token(site, "mallory"), product()?)
        .await?;
    let secret = Key { secret: "another secret", ..key() };
    table.login("secret wrong", "Login; signature", jane.clone(), Product::new(&secret)?).await?;
    let unknown = Key { id: "AKIAUNKNOWN", ..key() };
    table.login("key unknown", "Login; key", jane.clone(), Product::new(&unknown)?).await?;
    let without = Key { session_token: None, ..temporary_key() };
    table
        .login("session token missing", "Login; session token", jane.clone(), Product::new(&without)?)
        .await?;
    table.login("user without rds_iam", "Login; not asked", Login::by_token(site, "legacy"), product()?).await
}

/// Where the server is not proven to be the right one, no token may leave.
async fn unverified(table: &mut Table<'_>) -> Result<()> {
    let (site, product) = (table.site, || Product::new(&key()));
    let jane = Login::by_token(site, "jane");
    let no_tls = jane.clone().with("sslmode", "disable");
    table.login("no tls", "Configuration at build; not asked", no_tls, product()?).await?;
    let stranger = jane.clone().trusting_another(site);
    table.login("authority wrong", "Tls; not asked", stranger, product()?).await?;
    let other_name = jane.with("host", "other.abc123.us-east-2.rds.amazonaws.com");
    table.login("name wrong", "Tls; not asked", other_name, product()?).await
}

/// What the cache does as time goes by and keys change.
async fn over_time(table: &mut Table<'_>) -> Result<()> {
    let site = table.site;
    let jane = Login::by_token(site, "jane");

    let product = Product::behind(&key(), 890)?;
    let connector = jane.connector(site, &product)?;
    let twice = async {
        let first = seen(connector.log_in().await);
        product.clock.advance(Duration::from_secs(890));
        let second = seen(connector.log_in().await);
        let text = format!("{}, {}, {} signed", first.text, second.text, product.tokens.stats().signed);
        Seen { text, details: [first.details, second.details].concat() }
    };
    let twice = site.observe(twice).await?;
    table.row("token renewed at its end", "in as jane, in as jane, 2 signed; accepted 2 times", &twice);

    pools_and_sources(table).await?;

    let product = Product::new(&key())?;
    let connector = jane.connector(site, &product)?;
    connector.log_in().await?;
    let rotated = Key { id: "AKIAROTATED", secret: "a new secret", session_token: None };
    site.know(&[&rotated])?;
    product.source.set(rotated);
    // Long enough after the last accepted login for the refusal not to mean throttling.
    product.clock.advance(Duration::from_secs(120));
    let again = async {
        let seen = seen(connector.log_in().await);
        let text = format!("{}, {} retried", seen.text, product.tokens.stats().retries);
        Seen { text, ..seen }
    };
    let again = site.observe(again).await?;
    table.row("keys rotated, cached token stale", "in as jane, 1 retried; key, accepted", &again);
    site.know(&[&key(), &temporary_key()])
}

/// Pools over a token's end, sessions that end, and a source that is down for a while.
async fn pools_and_sources(table: &mut Table<'_>) -> Result<()> {
    let site = table.site;
    let jane = Login::by_token(site, "jane");

    // The second token is good by the servers' clock, the first one nearly over.
    let product = Product::behind(&key(), 850)?;
    let connector = jane.connector(site, &product)?;
    let pooled = site.observe(connector.pool_past(&product)).await?;
    table.row("pool over a token's end", "4 pooled; accepted 4 times", &pooled);

    let product = Product::behind(&key(), 270)?;
    product.source.expire(product.clock.now() + Duration::from_secs(300));
    let connector = jane.connector(site, &product)?;
    let capped = async {
        let first = seen(connector.log_in().await);
        product.clock.advance(Duration::from_secs(270));
        product.source.expire(product.clock.now() + Duration::from_secs(3600));
        let second = seen(connector.log_in().await);
        let text = format!("{}, {}, {} signed", first.text, second.text, product.tokens.stats().signed);
        Seen { text, details: [first.details, second.details].concat() }
    };
    let capped = site.observe(capped).await?;
    table.row("session that ends in 5 min", "in as jane, in as jane, 2 signed; accepted 2 times", &capped);

    let product = Product::new(&key())?;
    let connector = jane.connector(site, &product)?;
    product.source.fail(true);
    let recovered = async {
        let first = seen(connector.log_in().await);
        product.source.fail(false);
        let second = seen(connector.log_in().await);
        let details = if first.text.starts_with("in as") { first.details } else { second.details };
        Seen { text: format!("{}, {}", first.text, second.text), details }
    };
    let recovered = site.observe(recovered).await?;
    table.row("source down, then up", "Credentials(Failed), in as jane; accepted", &recovered);
    Ok(())
}

async fn at_once(table: &mut Table<'_>) -> Result<()> {
    let site = table.site;
    let product = Product::new(&key())?;
    let connector = Login::by_token(site, "jane").connector(site, &product)?;
    let together = async {
        let seen = connector.log_in_at_once(AT_ONCE).await;
        let (calls, signed) = (product.source.calls(), product.tokens.stats().signed);
        Seen { text: format!("{}, {calls} call, {signed} signed", seen.text), ..seen }
    };
    let together = site.observe(together).await?;
    let expected = format!("{AT_ONCE} in, 1 call, 1 signed; accepted {AT_ONCE} times");
    table.row(&format!("{AT_ONCE} connections open at once"), &expected, &together);
    Ok(())
}

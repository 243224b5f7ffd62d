//! Malformed configurations, in every form and for every adapter: what the error says, and that no
//! piece of a secret is in anything that is said.

use std::{collections::HashMap, error::Error as StdError, fmt::Debug, sync::LazyLock};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use e2e::{Fixture, HOST, TraceCapture};
use proptest::prelude::*;
use rds_wrapper::{Error, IamFactory, IamTokenProvider, Registry, Value, mysql, pg, plugins};
use serde_json::json;
use sqlx::{MySql, Postgres};
use tokio::runtime::Runtime;
use tracing_subscriber::fmt::format::FmtSpan;
use wrapper_sqlx::{Engine, FreshPool, FreshPoolBuilder};

mod rows;
mod slips;
mod texts;

use rows::{Row, TEXTS};

/// Passwords with what breaks a URL, a `key=value` string, or a naive search for them.
const SECRETS: &[&str] = &[
    "Xk7pQ2vLm9Zr4Tb",
    "qW8#rT5@yU2/iO9?pA6&sD3=fG1%hJ",
    "m4N b6V=c8X z1L'k3J",
    "7391/8264?vB5=nM2",
    "geh€im-Öl_77\"Wz\\x",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adapter {
    Mysql,
    Postgres,
    SqlxMysql,
    SqlxPostgres,
}

impl Adapter {
    const ALL: [Self; 4] = [Self::Mysql, Self::Postgres, Self::SqlxMysql, Self::SqlxPostgres];

    fn scheme(self) -> &'static str {
        match self {
            Self::Mysql | Self::SqlxMysql => "mysql",
            Self::Postgres | Self::SqlxPostgres => "postgres",
        }
    }

    fn other_scheme(self) -> &'static str {
        if self.scheme() == "mysql" { "postgres" } else { "mysql" }
    }
}

static CAPTURE: LazyLock<TraceCapture> = LazyLock::new(|| TraceCapture::install(FmtSpan::NONE));

static TOKENS: LazyLock<IamTokenProvider> = LazyLock::new(|| {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let provider = SharedCredentialsProvider::new(credentials);
    IamTokenProvider::builder().credentials_provider(provider).build().expect("builds")
});

fn registry<C: Send + 'static>() -> Registry<C> {
    plugins().with(IamFactory::new(TOKENS.clone()))
}

/// One configuration for whichever adapter.
#[derive(Clone, Default)]
struct Configuration {
    text: Option<String>,
    map: Option<Vec<(String, Value)>>,
    code: Vec<(String, String)>,
}

/// Everything that can be said of a configuration.
struct Said {
    /// The error's own text; nothing where it was built.
    message: Option<String>,
    everything: String,
}

impl Configuration {
    /// A map as JSON has it, with lists and maps in it.
    fn json(map: serde_json::Value) -> Self {
        let map: HashMap<String, Value> = serde_json::from_value(map).expect("values are taken as they come");
        Self { map: Some(map.into_iter().collect()), ..Self::default() }
    }

    fn text(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }

    fn map(pairs: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::from(*value));
        Self { map: Some(pairs.iter().map(pair).collect()), ..Self::default() }
    }

    /// Trusts a few certificates in place of the platform's many, which take a while to read.
    fn quick(mut self, ca: &str) -> Self {
        let mut texts = self.text.iter().chain(self.map.iter().flatten().map(|(name, _)| name));
        let is_given = texts.any(|text| text.contains("sslrootcert"));
        if !is_given && !self.code.iter().any(|(name, _)| name == "sslrootcert") {
            self.code.insert(0, ("sslrootcert".to_owned(), ca.to_owned()));
        }
        self
    }

    fn code(mut self, name: &str, value: &str) -> Self {
        self.code.push((name.to_owned(), value.to_owned()));
        self
    }

    async fn said(self, adapter: Adapter) -> Said {
        let capture = LazyLock::force(&CAPTURE);
        match adapter {
            Adapter::Mysql => {
                let mut builder = mysql::Connector::builder(registry());
                if let Some(text) = self.text {
                    builder = builder.connection_string(text);
                }
                if let Some(map) = self.map {
                    builder = builder.map(map);
                }
                for (name, value) in self.code {
                    builder = builder.parameter(name, value);
                }
                said(format!("{builder:?}"), builder.build(), capture)
            }
            Adapter::Postgres => {
                let mut builder = pg::Connector::builder(registry());
                if let Some(text) = self.text {
                    builder = builder.connection_string(text);
                }
                if let Some(map) = self.map {
                    builder = builder.map(map);
                }
                for (name, value) in self.code {
                    builder = builder.parameter(name, value);
                }
                said(format!("{builder:?}"), builder.build(), capture)
            }
            Adapter::SqlxMysql => self.pool::<MySql>(capture).await,
            Adapter::SqlxPostgres => self.pool::<Postgres>(capture).await,
        }
    }

    async fn pool<D: Engine>(self, capture: &TraceCapture) -> Said {
        let mut builder: FreshPoolBuilder<D> = FreshPool::builder().tokens(TOKENS.clone());
        if let Some(text) = self.text {
            builder = builder.connection_string(text);
        }
        if let Some(map) = self.map {
            builder = builder.map(map);
        }
        for (name, value) in self.code {
            builder = builder.parameter(name, value);
        }
        let debug = format!("{builder:?}");
        let outcome = builder.build().await;
        let said = said(debug, outcome.as_ref().map_err(Error::clone), capture);
        if let Ok(pool) = outcome {
            pool.pool().close().await;
        }
        said
    }
}

fn said<T: Debug>(builder: String, outcome: Result<T, Error>, capture: &TraceCapture) -> Said {
    let mut everything = builder + "\n" + &capture.take();
    let message = match outcome {
        Ok(built) => {
            everything.push_str(&format!("{built:?}\n{built:#?}"));
            None
        }
        Err(error) => {
            let mut next: Option<&dyn StdError> = Some(&error);
            while let Some(cause) = next {
                everything.push_str(&format!("\n{cause}\n{cause:#}\n{cause:?}\n{cause:#?}"));
                next = cause.source();
            }
            everything.push_str(&format!("\n{:?}", error.diagnosis()));
            for cause in error.diagnosis() {
                everything.push_str(&format!("\n{} {} {}", cause.code(), cause.sentence(), cause.remedy()));
            }
            Some(error.to_string())
        }
    };
    Said { message, everything }
}

/// All pieces of six characters of a secret in the forms in which it was or could be written.
fn pieces(secret: &str) -> Vec<String> {
    let mut forms = e2e::forms(secret);
    forms.truncate(3);
    forms.push(secret.escape_debug().to_string());
    forms.push(secret.escape_default().to_string());
    let mut pieces: Vec<_> = forms
        .iter()
        .flat_map(|form| {
            let characters: Vec<_> = form.chars().collect();
            characters.windows(6).map(String::from_iter).collect::<Vec<_>>()
        })
        .collect();
    pieces.sort();
    pieces.dedup();
    pieces
}

#[track_caller]
fn holds_no_secret(context: &str, secret: &str, said: &Said) {
    for piece in pieces(secret) {
        assert!(!said.everything.contains(&piece), "{context}\nsays `{piece}`:\n{}", said.everything);
    }
}

fn filled(template: &str, adapter: Adapter, secret: &str) -> String {
    template
        .replace("OTHER", adapter.other_scheme())
        .replace("SCHEME", adapter.scheme())
        .replace("HOST", HOST)
        .replace("SECRET", secret)
}

fn is_for(row: &Row, adapter: Adapter) -> bool {
    row.only.is_empty() || row.only.contains(&format!("{adapter:?}").as_str())
}

#[tokio::test]
async fn malformed_text_is_named_and_never_shown() {
    let mut failures = Vec::new();
    for row in TEXTS {
        for adapter in Adapter::ALL {
            let text = filled(row.text, adapter, SECRETS[0]);
            let said = Configuration::text(&text).said(adapter).await;
            let says = filled(row.says, adapter, "");
            match &said.message {
                None if is_for(row, adapter) => failures.push(format!("{adapter:?} takes {}", row.text)),
                Some(message) if is_for(row, adapter) && !message.contains(&says) => {
                    failures.push(format!("{adapter:?} of {}\n    says {message}\n    not {says}", row.text));
                }
                _ => {}
            }
        }
    }
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn no_secret_of_a_malformed_text_is_shown() {
    let rig = Fixture::start().await;
    let ca = rig.server.ca_file().to_string_lossy().into_owned();
    let all_pieces: Vec<_> = SECRETS.iter().map(|secret| pieces(secret)).collect();
    let mut failures = Vec::new();
    let templates = TEXTS.iter().map(|row| row.text).chain(texts::TEXTS.iter().copied());
    for (row, template) in templates.enumerate() {
        for adapter in Adapter::ALL {
            for (number, secret) in SECRETS.iter().enumerate() {
                let text = filled(template, adapter, secret);
                let text = text.as_str();
                let url = format!("{}://jane@{HOST}/app?plugins=iam", adapter.scheme());
                let mut forms = vec![
                    Configuration::text(text),
                    Configuration::text(&format!(" \u{feff}{text}\n")),
                    Configuration::text(&url).code(text, "x"),
                    Configuration::map(&[("host", text), ("user", "jane"), ("plugins", "iam")]),
                    Configuration::map(&[("host", HOST), ("user", "jane"), (text, "x")]),
                ];
                // Each text meets all adapters, as itself and in half of the other places; the many
                // further texts once each.
                let is_further = row >= TEXTS.len();
                let turn = row + number + adapter as usize;
                if is_further && row % SECRETS.len() != number {
                    continue;
                }
                // A word alone is a name, and may be shown where names are.
                if template == "SECRET" || !turn.is_multiple_of(if is_further { 4 } else { 2 }) {
                    forms.truncate(2);
                }
                // Each place gets many texts, and each text some places.
                let places = if forms.len() == 5 { 2 } else { 0 };
                for name in PLACES.iter().cycle().skip(row + 5 * number).take(places) {
                    let map = [("host", HOST), ("user", "jane"), ("plugins", "iam"), (*name, text)];
                    let is_other = |index: &usize| *index == 3 || map[*index].0 != *name;
                    let map: Vec<_> = (0..4).filter(is_other).map(|index| map[index]).collect();
                    forms.push(Configuration::map(&map));
                    if !["user", "database", "port"].contains(name) {
                        forms.push(Configuration::text(&url).code(name, text));
                    }
                }
                if places > 0 {
                    forms.push(Configuration::json(nested(row + number, text)));
                }
                for (index, form) in forms.into_iter().enumerate() {
                    let said = form.quick(&ca).said(adapter).await;
                    // A user or a database may have any name.
                    if index > 4 && said.message.is_none() {
                        continue;
                    }
                    for piece in &all_pieces[number] {
                        if said.everything.contains(piece) {
                            let shown = said.message.unwrap_or_else(|| said.everything.clone());
                            failures.push(format!(
                                "{adapter:?} form {index} of {text:?} says `{piece}`: {shown}"
                            ));
                            break;
                        }
                    }
                }
            }
        }
    }
    let some: Vec<_> = failures.iter().take(60).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} times:\n{}", failures.len(), some.join("\n"));
}

/// A map that holds a text where maps and lists are, or should not be.
fn nested(number: usize, text: &str) -> serde_json::Value {
    let (name, value) = match number % 6 {
        0 => ("ssl", json!({ "ca": text })),
        1 => ("ssl", json!({ "ca": HOST, "key": text, "passphrase": text })),
        2 => ("plugins", json!(["iam", text])),
        3 => ("password", json!([text])),
        4 => ("database", json!({ "name": text })),
        _ => ("ssl", json!({ text: true })),
    };
    json!({ "host": HOST, "user": "jane", name: value })
}

/// Where a text may end up that belongs elsewhere.
const PLACES: &[&str] = &[
    "user",
    "database",
    "port",
    "plugins",
    "autoSortWrapperPluginOrder",
    "iamHost",
    "iamDefaultPort",
    "iamRegion",
    "iamTokenExpiration",
    "clusterInstanceHostPattern",
    "wrapperConnectTimeout",
    "tlsServerName",
    "sslrootcert",
    "sslmode",
];

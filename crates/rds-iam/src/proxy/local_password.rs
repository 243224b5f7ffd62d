//! The password of the proxy's own ports.

use std::{env, fs::File, io::Read, os::unix::fs::MetadataExt, path::Path};

use rustls::crypto::aws_lc_rs;
use wrapper_proxy::LocalPassword;
use zeroize::{Zeroize, Zeroizing};

use crate::{failure::Failure, terminal::is_terminal};

const VARIABLE: &str = "RDS_IAM_LOCAL_PASSWORD";

/// No password is longer, whatever the file is.
const MOST: u64 = 64 * 1024;

/// Which password ports ask for.
pub(super) enum Chosen {
    Given(LocalPassword),
    /// To be shown once.
    Made {
        password: LocalPassword,
        shown: Zeroizing<String>,
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
            Ok(text) => checked(text.into_bytes()).map(Self::Given),
            Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{VARIABLE} is not UTF-8"))),
            Err(env::VarError::NotPresent) if is_terminal() => made(),
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
    let found = file.metadata().map_err(unreadable)?;
    let mode = found.mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(Failure::usage(format!(
            "every account of this machine may use the local password's file {shown} (mode {mode:o}): chmod \
             600 it"
        )));
    }
    // In one piece: memory that grows leaves copies behind.
    let mut text = Vec::with_capacity(usize::try_from(found.len().min(MOST)).unwrap_or_default() + 1);
    let read = file.take(MOST).read_to_end(&mut text).map_err(unreadable);
    while let Some(b'\r' | b'\n') = text.last() {
        text.pop();
    }
    match read {
        Ok(_) => checked(text),
        Err(failure) => {
            text.zeroize();
            Err(failure)
        }
    }
}

fn checked(text: Vec<u8>) -> Result<LocalPassword, Failure> {
    LocalPassword::new(text).map_err(|error| Failure::usage(error.to_string()))
}

fn made() -> Result<Chosen, Failure> {
    let mut bytes = Zeroizing::new([0; 16]);
    let no_randomness = |_| Failure::new("the system gives no random bytes for a local password");
    aws_lc_rs::default_provider().secure_random.fill(&mut *bytes).map_err(no_randomness)?;
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    let mut shown = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    bytes.iter().for_each(|byte| shown.extend([digit(byte >> 4), digit(byte & 0xf)]));
    Ok(Chosen::Made { password: checked(shown.as_bytes().to_vec())?, shown })
}

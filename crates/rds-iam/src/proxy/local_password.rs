//! The local password of the proxy's ports.

use std::{env, fs::File, io::Read, os::unix::fs::MetadataExt, path::Path};

use rustls::crypto::aws_lc_rs;
use wrapper_proxy::LocalPassword;
use zeroize::{Zeroize, Zeroizing};

use crate::{failure::Failure, terminal::is_terminal};

const VARIABLE: &str = "RDS_IAM_LOCAL_PASSWORD";

/// The longest password: the file may be a device without an end.
const MOST: u64 = 64 * 1024;

/// The source of the ports' password.
pub(super) enum Chosen {
    Given(LocalPassword),
    /// Generated, to be shown once.
    Made {
        password: LocalPassword,
        shown: Zeroizing<String>,
    },
    None,
}

impl Chosen {
    /// Takes the password from a file or the environment; on a terminal one is generated.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = file {
            return from_file(path).map(Self::Given);
        }
        match env::var(VARIABLE) {
            Ok(text) => checked(text.into_bytes()).map(Self::Given),
            Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{VARIABLE} is not UTF-8"))),
            Err(env::VarError::NotPresent) if is_terminal() => made(),
            // A generated password would end in journals and logs, which others read.
            Err(env::VarError::NotPresent) => Err(Failure::usage(format!(
                "a port needs a local password, and without a terminal none can be shown: pass \
                 --local-password-file, set {VARIABLE}, or listen in a folder"
            ))),
        }
    }
}

fn from_file(path: &Path) -> Result<LocalPassword, Failure> {
    let shown = path.display();
    let unreadable =
        |error| Failure::usage(format!("cannot read the local password's file {shown}")).because(error);
    // Mode and text are read from one descriptor, so they are of the same file.
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let mode = found.mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(Failure::usage(format!(
            "every account of this machine can use the local password's file {shown} (mode {mode:o}): run \
             chmod 600 on it"
        )));
    }
    // Allocated once: a vector that grows leaves copies of the password behind.
    let mut text = Vec::with_capacity(usize::try_from(found.len().min(MOST)).unwrap_or_default() + 1);
    let read = file.take(MOST).read_to_end(&mut text).map_err(unreadable);
    // An editor ends a file with a newline, which is no part of the password.
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
    let no_randomness = |_| Failure::new("the system has no random bytes for a local password");
    aws_lc_rs::default_provider().secure_random.fill(&mut *bytes).map_err(no_randomness)?;
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    let mut shown = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    bytes.iter().for_each(|byte| shown.extend([digit(byte >> 4), digit(byte & 0xf)]));
    Ok(Chosen::Made { password: checked(shown.as_bytes().to_vec())?, shown })
}

//! A temporary folder that the servers can read, and free ports.

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{self, Command},
};

use crate::{Result, output, prerequisites::Prerequisites, service::finish};

/// A temporary folder, removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Creates the folder.
    pub(crate) fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("rds-integration-{}", process::id()));
        fs::create_dir(&path)?;
        let scratch = Self(path);
        // The servers may run as another account, and reach their own folders through this one.
        fs::set_permissions(&scratch.0, Permissions::from_mode(0o755))?;
        Ok(scratch)
    }

    /// Creates a folder in it, owned by the user of the servers.
    pub(crate) fn folder(&self, prerequisites: &Prerequisites, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path)?;
        hand_over(prerequisites, &path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            output::error(&format!("{} stays behind: {error}", self.0.display()));
        }
    }
}

/// Changes the owner of a folder, recursively, to the user of the servers.
pub(crate) fn hand_over(prerequisites: &Prerequisites, folder: &Path) -> Result<()> {
    if !prerequisites.is_root() {
        return Ok(());
    }
    let mut chown = Command::new("chown");
    chown.args(["-R", "nobody:nogroup"]).arg(folder);
    finish(chown)
}

/// Returns a port that is free now, and unlikely to be taken before the server starts.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

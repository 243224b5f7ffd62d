//! The folder of a Unix socket, and the socket's file.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::Path,
    time::Duration,
};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use super::named;
use crate::access::Access;

/// The time for another proxy to start in the same folder.
const OTHERS_START: Duration = Duration::from_secs(5);

/// Returns device and inode, which tell a file from another of the same name.
pub(super) fn file_number(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Creates the folder, or checks that it is a folder of this account and closed to others.
pub(super) fn own_folder(folder: &Path, access: &Access) -> io::Result<()> {
    let mode = if access.is_shared() { 0o750 } else { 0o700 };
    match fs::DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => {
            give(folder, access)?;
            // The umask may have removed bits that admitted accounts need.
            return fs::set_permissions(folder, fs::Permissions::from_mode(mode));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(named(error, &folder.display())),
    }
    // The entry itself is checked: a symbolic link could be changed afterwards.
    let found = fs::symlink_metadata(folder)?;
    let refuse = |why: &str| {
        let message = format!("the socket's folder {} {why}", folder.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    };
    if !found.is_dir() {
        return refuse("is a symbolic link or not a folder: choose another path");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refuse("belongs to another account: choose a folder of this one");
    }
    if found.mode() & 0o777 & !mode != 0 {
        return refuse(&format!(
            "is open to others (mode {:o}): run chmod {mode:o} on it",
            found.mode() & 0o777
        ));
    }
    match access.group() {
        // No group is admitted, or the folder already belongs to an admitted one.
        None => Ok(()),
        Some(_) if access.admits_group(found.gid()) && found.mode() & 0o050 == 0o050 => Ok(()),
        Some(_) => {
            give(folder, access)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(mode))
        }
    }
}

/// Gives a folder or a socket to the admitted group.
pub(super) fn give(path: &Path, access: &Access) -> io::Result<()> {
    let Some(group) = access.group() else { return Ok(()) };
    chown(path, None, Some(group)).map_err(|error| {
        let path = path.display();
        let message = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("cannot give {path} to group {group}: add this account to the group")
            }
            _ => format!("cannot give {path} to group {group}: {error}"),
        };
        io::Error::new(error.kind(), message)
    })
}

/// Locks the folder against other starting proxies, until the returned file is dropped.
pub(super) async fn lock(folder: &Path) -> io::Result<fs::File> {
    let file = fs::File::open(folder).map_err(|error| named(error, &folder.display()))?;
    let until = Instant::now() + OTHERS_START;
    // An admitted group can hold the lock as well, so the wait has an end.
    while let Err(error) = file.try_lock() {
        match error {
            fs::TryLockError::WouldBlock if Instant::now() < until => sleep(Duration::from_millis(5)).await,
            fs::TryLockError::WouldBlock => {
                let message = format!(
                    "another process has locked the folder {} for {OTHERS_START:?}",
                    folder.display()
                );
                return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
            }
            fs::TryLockError::Error(error) => return Err(named(error, &folder.display())),
        }
    }
    Ok(file)
}

/// Removes a socket file that has no listener.
pub(super) async fn remove_stale(path: &Path) -> io::Result<()> {
    // Connecting to an ordinary file is refused as well, and such a file must not be removed.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        let message = format!("{} is not a socket: move it away, or choose another folder", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another proxy listens on {}: stop it, or choose another folder", path.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(named(error, &path.display())),
    }
}

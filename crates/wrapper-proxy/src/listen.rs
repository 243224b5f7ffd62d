//! The local sockets: a unix socket in a folder of our own, or a port on loopback.

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::either::Either;

use crate::access::{Access, Peer};

#[cfg(unix)]
use {
    std::{
        os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown},
        time::Duration,
    },
    tokio::{
        net::{UnixListener, UnixStream},
        time::{Instant, sleep},
    },
};

/// How long another proxy may take to begin in the same folder.
#[cfg(unix)]
const OTHERS_START: Duration = Duration::from_secs(5);

/// A local connection, whichever it came by.
#[cfg(unix)]
pub(crate) type Local = Either<TcpStream, UnixStream>;
#[cfg(not(unix))]
pub(crate) type Local = TcpStream;

/// Where clients reach a target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// A TCP port, of loopback unless [`TcpPort::anywhere`] says otherwise.
    Tcp(TcpPort),
    /// A unix socket in this folder, which must be ours alone; it is made where it is not there.
    #[cfg(unix)]
    Unix(PathBuf),
}

/// An address that may be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpPort(SocketAddr);

impl TcpPort {
    /// Takes a port of 127.0.0.1; 0 takes a free one.
    pub fn loopback(port: u16) -> Self {
        Self((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Takes an address of loopback.
    ///
    /// # Errors
    ///
    /// An error that names the address if other machines could reach it.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        match address.ip().is_loopback() {
            true => Ok(Self(address)),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("other machines reach {address}: listen on 127.0.0.1"),
            )),
        }
    }

    /// Takes any address.
    ///
    /// # Security
    ///
    /// Anyone who reaches it and knows the local password uses the database as the target's user;
    /// password and data cross that network unencrypted. A proxy without a password does not
    /// listen there.
    pub fn anywhere(address: SocketAddr) -> Self {
        Self(address)
    }

    /// Returns whether only this machine reaches it.
    pub fn is_loopback(self) -> bool {
        self.0.ip().is_loopback()
    }
}

/// A socket that takes clients; the file of a unix socket goes with it.
pub(crate) struct Listener {
    socket: Socket,
    place: Place,
}

enum Socket {
    Tcp(TcpListener),
    /// With the device and the number of its file: another proxy may have put its own there.
    #[cfg(unix)]
    Unix(UnixListener, (u64, u64)),
}

/// Where a listener is, as clients have to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Host and port.
    Tcp(SocketAddr),
    /// The path of the socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Listener {
    /// Opens the socket; `file` is its name in a folder.
    pub(crate) async fn bind(listen: &Listen, file: &str, access: &Access) -> io::Result<Self> {
        match listen {
            Listen::Tcp(port) if !port.is_loopback() && access.password_for(Peer::Tcp).is_none() => {
                let message = format!("other machines reach {}: it needs a local password", port.0);
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
            Listen::Tcp(port) => {
                let socket = TcpListener::bind(port.0).await.map_err(|error| named(error, &port.0))?;
                let place = Place::Tcp(socket.local_addr()?);
                Ok(Self { socket: Socket::Tcp(socket), place })
            }
            #[cfg(unix)]
            Listen::Unix(folder) => {
                own_folder(folder, access)?;
                let path = folder.join(file);
                // Else two that start at once find the same stale socket, and the slower one
                // removes the other's.
                let alone = lock(folder).await?;
                remove_stale(&path).await?;
                let socket = UnixListener::bind(&path).map_err(|error| named(error, &path.display()))?;
                let file = file_number(&path)?;
                drop(alone);
                let mode = if access.is_shared() { 0o660 } else { 0o600 };
                give(&path, access)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
                Ok(Self { socket: Socket::Unix(socket, file), place: Place::Unix(path) })
            }
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Takes the next client.
    pub(crate) async fn accept(&self) -> io::Result<(Local, Peer)> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                // One that is gone already shows that at its first read.
                drop(crate::socket::set_up(&stream));
                #[cfg(unix)]
                let stream = Either::Left(stream);
                Ok((stream, Peer::Tcp))
            }
            #[cfg(unix)]
            Socket::Unix(socket, _) => {
                let (stream, _) = socket.accept().await?;
                let credentials = stream.peer_cred()?;
                let peer = Peer::Unix { uid: credentials.uid(), gid: credentials.gid() };
                Ok((Either::Right(stream), peer))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let (Place::Unix(path), Socket::Unix(_, file)) = (&self.place, &self.socket)
            && file_number(path).is_ok_and(|found| found == *file)
        {
            // Nobody is left to tell.
            drop(fs::remove_file(path));
        }
    }
}

/// Returns what tells a file from another of the same name.
#[cfg(unix)]
fn file_number(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Makes the folder, or checks that it is ours, no link, and closed to others.
#[cfg(unix)]
fn own_folder(folder: &Path, access: &Access) -> io::Result<()> {
    let mode = if access.is_shared() { 0o750 } else { 0o700 };
    match fs::DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => {
            give(folder, access)?;
            // Of what the umask took the accounts that are let in have need.
            return fs::set_permissions(folder, fs::Permissions::from_mode(mode));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(named(error, &folder.display())),
    }
    // Of the entry itself: a link could be led elsewhere after this.
    let found = fs::symlink_metadata(folder)?;
    let refuse = |why: &str| {
        let message = format!("the socket's folder {} {why}", folder.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    };
    if !found.is_dir() {
        return refuse("is a link or no folder: name one of its own");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refuse("belongs to another account: name one of your own");
    }
    if found.mode() & 0o777 & !mode != 0 {
        return refuse(&format!("is open to others (mode {:o}): chmod {mode:o} it", found.mode() & 0o777));
    }
    match access.group() {
        // Nobody is let in by a group, or the folder is of another that is.
        None => Ok(()),
        Some(_) if access.admits_group(found.gid()) && found.mode() & 0o050 == 0o050 => Ok(()),
        Some(_) => {
            give(folder, access)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(mode))
        }
    }
}

/// Gives a folder or a socket to the group that is let in, which its mode alone would keep out.
#[cfg(unix)]
fn give(path: &Path, access: &Access) -> io::Result<()> {
    let Some(group) = access.group() else { return Ok(()) };
    chown(path, None, Some(group)).map_err(|error| {
        let path = path.display();
        let message = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("{path} cannot be given to group {group}: this account has to be in it as well")
            }
            _ => format!("{path} cannot be given to group {group}: {error}"),
        };
        io::Error::new(error.kind(), message)
    })
}

/// Keeps other proxies from starting in the same folder until the returned file is dropped.
#[cfg(unix)]
async fn lock(folder: &Path) -> io::Result<fs::File> {
    let file = fs::File::open(folder).map_err(|error| named(error, &folder.display()))?;
    let until = Instant::now() + OTHERS_START;
    // A group that is let in can hold the lock as well, so that it is not waited for without end.
    while let Err(error) = file.try_lock() {
        match error {
            fs::TryLockError::WouldBlock if Instant::now() < until => sleep(Duration::from_millis(5)).await,
            fs::TryLockError::WouldBlock => {
                let message =
                    format!("another proxy has been starting in {} for {OTHERS_START:?}", folder.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
            }
            fs::TryLockError::Error(error) => return Err(named(error, &folder.display())),
        }
    }
    Ok(file)
}

/// Removes a socket without a listener.
#[cfg(unix)]
async fn remove_stale(path: &Path) -> io::Result<()> {
    // A connect to an ordinary file is refused as well, and that must stay.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        let message = format!("{} is no socket: move it away, or take another folder", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another proxy answers on {}: end it, or take another folder", path.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(named(error, &path.display())),
    }
}

fn named(error: io::Error, place: &dyn fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {place}: {error}"))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, mode: u32) -> Self {
            let path = std::env::temp_dir().join(format!("proxy-{name}-{}", std::process::id()));
            fs::DirBuilder::new().create(&path).expect("is made");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("is set");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    async fn bound(folder: &Path) -> io::Result<Listener> {
        Listener::bind(&Listen::Unix(folder.to_owned()), ".s.PGSQL.5432", &Access::without_password()).await
    }

    #[tokio::test]
    async fn folder_is_made_for_us_alone_and_the_socket_goes_with_the_listener() {
        let parent = Folder::new("made", 0o755);
        let folder = parent.0.join("own");

        let listener = bound(&folder).await.expect("listens");

        let mode = |path: &Path| fs::metadata(path).expect("is there").mode() & 0o777;
        let Place::Unix(path) = listener.place().clone() else { panic!("a unix socket") };
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn folder_that_others_reach_wrong() {
        let open = Folder::new("open", 0o755);
        let error = bound(&open.0).await.map(drop).expect_err("open to others");
        assert!(error.to_string().contains("mode 755"), "{error}");

        let own = Folder::new("own", 0o700);
        let link = own.0.join("link");
        std::os::unix::fs::symlink(&own.0, &link).expect("is made");
        let error = bound(&link).await.map(drop).expect_err("a link");
        assert!(error.to_string().contains("is a link"), "{error}");
    }

    #[tokio::test]
    async fn socket_left_behind_is_replaced_and_a_living_one_is_not() {
        let folder = Folder::new("stale", 0o700);
        let path = folder.0.join(".s.PGSQL.5432");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
        assert!(path.exists());

        let living = bound(&folder.0).await.expect("the stale one is replaced");

        let error = bound(&folder.0).await.map(drop).expect_err("one answers");
        assert!(error.to_string().contains("another proxy answers"), "{error}");
        drop(living);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_of_many_that_start_at_once_takes_the_place_of_a_stale_socket() {
        let folder = Folder::new("race", 0o700);
        let path = folder.0.join(".s.PGSQL.5432");
        for round in 0..100 {
            drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
            let starts: Vec<_> = (0..8)
                .map(|_| {
                    let folder = folder.0.clone();
                    tokio::spawn(async move { bound(&folder).await })
                })
                .collect();

            let mut started = Vec::new();
            for start in starts {
                started.extend(start.await.expect("ends").ok());
            }

            assert_eq!(started.len(), 1, "in round {round}");
            drop(started);
        }
    }

    #[tokio::test]
    async fn folder_and_socket_are_of_the_group_that_is_let_in() {
        // Only an administrator gives files to groups that are not its own.
        let own = rustix::process::getegid().as_raw();
        let group = if rustix::process::geteuid().is_root() { 4_000 } else { own };
        let folder = Folder::new("group", 0o700);
        let access = Access::without_password().allow_gid(group);
        for path in [folder.0.join("new"), folder.0.clone()] {
            let listener = Listener::bind(&Listen::Unix(path.clone()), "socket", &access).await;

            let listener = listener.expect("listens");

            let found = |path: &Path| {
                let found = fs::metadata(path).expect("is there");
                (found.gid(), found.mode() & 0o777)
            };
            assert_eq!(found(&path), (group, 0o750));
            assert_eq!(found(&path.join("socket")), (group, 0o660));
            drop(listener);
        }
    }

    #[tokio::test]
    async fn socket_of_a_successor_stays_and_so_does_a_file_that_is_no_socket() {
        let folder = Folder::new("successor", 0o700);
        let path = folder.0.join(".s.PGSQL.5432");
        let first = bound(&folder.0).await.expect("listens");
        fs::remove_file(&path).expect("is removed");
        let second = bound(&folder.0).await.expect("listens");
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());

        fs::write(&path, "notes").expect("is written");
        let error = bound(&folder.0).await.map(drop).expect_err("is no socket");
        assert!(error.to_string().contains("no socket"), "{error}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn address_that_others_reach_needs_a_password() {
        let everywhere = Listen::Tcp(TcpPort::anywhere("0.0.0.0:0".parse().expect("an address")));
        let error = Listener::bind(&everywhere, "", &Access::without_password()).await;
        let error = error.map(drop).expect_err("has none");
        assert!(error.to_string().contains("local password"), "{error}");
    }

    #[tokio::test]
    async fn address_that_others_reach_needs_another_constructor() {
        let everywhere: SocketAddr = "0.0.0.0:5432".parse().expect("an address");
        assert!(
            TcpPort::new(everywhere).expect_err("reached from elsewhere").to_string().contains("0.0.0.0")
        );
        assert!(!TcpPort::anywhere(everywhere).is_loopback());
        assert!(TcpPort::new("[::1]:0".parse().expect("an address")).is_ok());
    }
}

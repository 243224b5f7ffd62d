//! The sockets that clients connect to: a Unix socket in a private folder, or a loopback port.

#[cfg(unix)]
mod folder;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::either::Either;

use crate::access::{Access, Peer};

#[cfg(unix)]
use {
    self::folder::{file_number, give, lock, own_folder, remove_stale},
    std::{fs, os::unix::fs::PermissionsExt},
    tokio::net::{UnixListener, UnixStream},
};

/// A client's connection, of either kind of socket.
#[cfg(unix)]
pub(crate) type Local = Either<TcpStream, UnixStream>;
#[cfg(not(unix))]
pub(crate) type Local = TcpStream;

/// Where clients reach a target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// A TCP port, on loopback unless it was created by [`TcpPort::anywhere`].
    Tcp(TcpPort),
    /// A Unix socket in this folder, which must belong to this account and be closed to others; a
    /// missing folder is created.
    #[cfg(unix)]
    Unix(PathBuf),
}

/// A TCP address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpPort(SocketAddr);

impl TcpPort {
    /// Creates an address of 127.0.0.1; port 0 takes a free one.
    pub fn loopback(port: u16) -> Self {
        Self((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Creates an address that must be on loopback.
    ///
    /// # Errors
    ///
    /// An error that names the address, if other machines could reach it.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        match address.ip().is_loopback() {
            true => Ok(Self(address)),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("other machines can reach {address}: listen on 127.0.0.1"),
            )),
        }
    }

    /// Creates any address, which other machines may be able to reach.
    ///
    /// # Security
    ///
    /// Every client that reaches it and knows the local password uses the database as the target's
    /// user. Password and data cross that network unencrypted. A proxy without a password refuses
    /// to listen there.
    pub fn anywhere(address: SocketAddr) -> Self {
        Self(address)
    }

    /// Returns whether only this machine can reach it.
    pub fn is_loopback(self) -> bool {
        self.0.ip().is_loopback()
    }
}

/// A listening socket; dropping it removes the file of a Unix socket.
pub(crate) struct Listener {
    socket: Socket,
    place: LocalAddress,
}

enum Socket {
    Tcp(TcpListener),
    /// With the device and inode of its file, since another proxy may have replaced it.
    #[cfg(unix)]
    Unix(UnixListener, (u64, u64)),
}

/// The address of a listener, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalAddress {
    /// Host and port.
    Tcp(SocketAddr),
    /// The path of the socket.
    Unix(PathBuf),
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Listener {
    /// Opens the socket; `file` is the name of a Unix socket in its folder.
    pub(crate) async fn bind(listen: &Listen, file: &str, access: &Access) -> io::Result<Self> {
        match listen {
            Listen::Tcp(port) if !port.is_loopback() && access.password_for(Peer::Tcp).is_none() => {
                let message = format!("other machines can reach {}: set a local password", port.0);
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
            Listen::Tcp(port) => {
                let socket = TcpListener::bind(port.0).await.map_err(|error| named(error, &port.0))?;
                let place = LocalAddress::Tcp(socket.local_addr()?);
                Ok(Self { socket: Socket::Tcp(socket), place })
            }
            #[cfg(unix)]
            Listen::Unix(folder) => {
                own_folder(folder, access)?;
                let path = folder.join(file);
                // Without the lock two proxies that start at once find the same stale socket, and
                // the slower one removes the new socket of the other.
                let alone = lock(folder).await?;
                remove_stale(&path).await?;
                let socket = UnixListener::bind(&path).map_err(|error| named(error, &path.display()))?;
                let file = file_number(&path)?;
                drop(alone);
                let mode = if access.is_shared() { 0o660 } else { 0o600 };
                give(&path, access)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
                Ok(Self { socket: Socket::Unix(socket, file), place: LocalAddress::Unix(path) })
            }
        }
    }

    pub(crate) fn address(&self) -> &LocalAddress {
        &self.place
    }

    /// Accepts the next client.
    pub(crate) async fn accept(&self) -> io::Result<(Local, Peer)> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                // A client that has already disconnected shows at its first read.
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
        if let (LocalAddress::Unix(path), Socket::Unix(_, file)) = (&self.place, &self.socket)
            && file_number(path).is_ok_and(|found| found == *file)
        {
            // An error changes nothing: the next start replaces the stale file.
            drop(fs::remove_file(path));
        }
    }
}

fn named(error: io::Error, place: &dyn fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {place}: {error}"))
}

#[cfg(unix)]
#[cfg(test)]
mod tests;

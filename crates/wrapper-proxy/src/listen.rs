//! The local sockets: a unix socket in a folder of our own, or a port on loopback.

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

fn named(error: io::Error, place: &dyn fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {place}: {error}"))
}

#[cfg(unix)]
#[cfg(test)]
mod tests;

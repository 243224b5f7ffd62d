//! Notifies systemd of the service's state:
//! <https://www.freedesktop.org/software/systemd/man/sd_notify.html>.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, net::UnixDatagram},
};

use crate::failure::Failure;

/// Sends a state to the service manager, if it asked for notifications.
pub(super) fn notify(state: &str) -> Result<(), Failure> {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else {
        return Ok(());
    };
    send(&socket, state)
        .map_err(|error| Failure::new("cannot notify the service manager at NOTIFY_SOCKET").because(error))
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    // A name that begins with `@` is in Linux's abstract namespace, written there with a NUL.
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.as_bytes().strip_prefix(b"@") {
        use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
        sender.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
        return Ok(());
    }
    sender.send_to(state.as_bytes(), socket)?;
    Ok(())
}

//! Listeners in folders and on ports.

use std::{os::unix::fs::MetadataExt, path::Path};

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
async fn folder_is_created_private_and_the_socket_is_removed_with_the_listener() {
    let parent = Folder::new("made", 0o755);
    let folder = parent.0.join("own");

    let listener = bound(&folder).await.expect("listens");

    let mode = |path: &Path| fs::metadata(path).expect("is there").mode() & 0o777;
    let LocalAddress::Unix(path) = listener.address().clone() else { panic!("a Unix socket") };
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn folder_that_others_can_reach_wrong() {
    let open = Folder::new("open", 0o755);
    let error = bound(&open.0).await.map(drop).expect_err("open to others");
    assert!(error.to_string().contains("mode 755"), "{error}");

    let own = Folder::new("own", 0o700);
    let link = own.0.join("link");
    std::os::unix::fs::symlink(&own.0, &link).expect("is made");
    let error = bound(&link).await.map(drop).expect_err("a link");
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
}

#[tokio::test]
async fn stale_socket_is_replaced_and_one_in_use_is_not() {
    let folder = Folder::new("stale", 0o700);
    let path = folder.0.join(".s.PGSQL.5432");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    assert!(path.exists());

    let living = bound(&folder.0).await.expect("the stale one is replaced");

    let error = bound(&folder.0).await.map(drop).expect_err("one answers");
    assert!(error.to_string().contains("another proxy listens"), "{error}");
    drop(living);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_starts_replaces_a_stale_socket() {
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
async fn folder_and_socket_belong_to_the_admitted_group() {
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
async fn socket_of_a_successor_and_an_ordinary_file_are_kept() {
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
    assert!(error.to_string().contains("not a socket"), "{error}");
    assert!(path.exists());
}

#[tokio::test]
async fn address_that_others_can_reach_needs_a_password() {
    let everywhere = Listen::Tcp(TcpPort::anywhere("0.0.0.0:0".parse().expect("an address")));
    let error = Listener::bind(&everywhere, "", &Access::without_password()).await;
    let error = error.map(drop).expect_err("has none");
    assert!(error.to_string().contains("local password"), "{error}");
}

#[tokio::test]
async fn address_that_others_can_reach_needs_another_constructor() {
    let everywhere: SocketAddr = "0.0.0.0:5432".parse().expect("an address");
    assert!(TcpPort::new(everywhere).expect_err("reached from elsewhere").to_string().contains("0.0.0.0"));
    assert!(!TcpPort::anywhere(everywhere).is_loopback());
    assert!(TcpPort::new("[::1]:0".parse().expect("an address")).is_ok());
}

//! What happens around a database behind the server; a real one stands in the integration suite.

use rds_testkit::PostgresServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client::{login, refusal, tls};
use crate::signer::Signer;

/// Starts a server in front of `database`, which is another of ours without TLS or a socket that a
/// test speaks by itself.
async fn front(database: std::net::SocketAddr) -> PostgresServer {
    PostgresServer::builder().forward_to(database, "owner", "pw").start().await.unwrap()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

#[tokio::test]
async fn login_is_checked_before_the_database_is_dialled() {
    let database = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = front(database.local_addr().unwrap()).await;
    let expired = Signer { expires: 1, at: std::time::UNIX_EPOCH, ..Signer::new(&server) }.sign();
    tokio::select! {
        outcome = login(&server, &expired) => assert_eq!(refusal(outcome).0, "28000"),
        _ = database.accept() => panic!("the database was asked"),
    }
}

#[tokio::test]
async fn unreachable_database_is_named_as_the_cause() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = front(address).await;
    let (code, text) = refusal(login(&server, &Signer::new(&server).sign()).await);
    assert_eq!(code, "08006");
    assert!(text.contains("database behind"), "{text}");
}

#[tokio::test]
async fn session_is_opened_as_the_other_user_and_moved() {
    let database = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = front(database.local_addr().unwrap()).await;
    let token = Signer::new(&server).sign();
    let behind = async {
        let (mut stream, _) = database.accept().await.unwrap();
        let length = stream.read_u32().await.unwrap() as usize;
        let mut startup = vec![0; length - 4];
        stream.read_exact(&mut startup).await.unwrap();
        let text = String::from_utf8_lossy(&startup).into_owned();
        assert!(text.contains("user\0owner\0database\0app\0"), "{text:?}");
        stream.write_all(&message(b'R', &3_u32.to_be_bytes())).await.unwrap();
        let mut password = [0; 8];
        stream.read_exact(&mut password).await.unwrap();
        assert_eq!(&password, b"p\0\0\0\x07pw\0");
        let key = [7_u32.to_be_bytes(), 9_u32.to_be_bytes()].concat();
        let ready = [
            message(b'R', &0_u32.to_be_bytes()),
            message(b'S', b"server_version\099.1\0"),
            message(b'K', &key),
            message(b'Z', b"I"),
        ];
        stream.write_all(&ready.concat()).await.unwrap();
        let mut query = [0; 14];
        stream.read_exact(&mut query).await.unwrap();
        assert_eq!(&query, b"Q\0\0\0\x0dSELECT 7\0");
        stream.write_all(&[message(b'C', b"SELECT 0\0"), message(b'Z', b"I")].concat()).await.unwrap();
        // A cancel comes on a connection of its own, for this very session.
        let (mut cancel, _) = database.accept().await.unwrap();
        let mut packet = [0; 16];
        cancel.read_exact(&mut packet).await.unwrap();
        assert_eq!(packet[8..], key);
        stream
    };
    let client = async {
        let client = login(&server, &token).await.unwrap();
        client.simple_query("SELECT 7").await.unwrap();
        client.cancel_token().cancel_query(tls(server.ca_pem())).await.unwrap();
        client
    };
    let (client, _stream) = tokio::join!(client, behind);
    let cancels = server.cancels();
    assert!(cancels.len() == 1 && cancels[0].matched && cancels[0].session == 7, "{cancels:?}");
    server.drop_connections();
    assert!(client.simple_query("SELECT 8").await.is_err());
}

#[tokio::test]
async fn refusal_of_the_database_reaches_the_client() {
    let database = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = front(database.local_addr().unwrap()).await;
    let token = Signer::new(&server).sign();
    let behind = async {
        let (mut stream, _) = database.accept().await.unwrap();
        let error = message(b'E', b"SFATAL\0VFATAL\0C3D000\0Mdatabase \"app\" does not exist\0\0");
        stream.write_all(&error).await.unwrap();
        // Until the server has read it and goes.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(login(&server, &token), behind);
    assert_eq!(refusal(outcome), ("3D000".to_owned(), "database \"app\" does not exist".to_owned()));
}

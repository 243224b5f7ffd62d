//! The instance metadata of a machine with a role, on loopback, until it goes down.

use std::{net::TcpListener, thread};

use crate::sts::{read, respond};

/// What the SDK asks for one set of keys: a token, the name of the role, its keys.
const REQUESTS_FOR_KEYS: usize = 3;

const KEYS: &str = r#"{
    "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
    "AccessKeyId": "ASIAMACHINE", "SecretAccessKey": "secret", "Token": "session",
    "Expiration": "2100-01-01T00:00:00Z"
}"#;

/// Starts a service that gives keys once and refuses every connection from then on; returns its
/// address.
pub(crate) fn give_keys_once() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten().take(REQUESTS_FOR_KEYS) {
            let request = read(&stream).unwrap();
            let path = request.line.split(' ').nth(1).unwrap();
            let body = match path {
                "/latest/api/token" => "metadata token",
                "/latest/meta-data/iam/security-credentials/" => "machine",
                "/latest/meta-data/iam/security-credentials/machine" => KEYS,
                _ => panic!("unexpected path {path}"),
            };
            respond(stream, 200, "x-aws-ec2-metadata-token-ttl-seconds: 21600", body).unwrap();
        }
    });
    url
}

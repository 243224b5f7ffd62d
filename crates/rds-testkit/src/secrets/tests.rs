//! Requests as botocore signs them, and the flow of a rotation over a socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::token_policy::sign;

/// Signed by botocore with the key `AKIATEST`, the secret `secret` and the session token `session`.
const BY_BOTOCORE: &str = "POST / HTTP/1.1\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\
    Content-Type: application/x-amz-json-1.1\r\nHost: 127.0.0.1:4567\r\nX-Amz-Date: 20261126T120000Z\r\n\
    X-Amz-Security-Token: session\r\nAuthorization: AWS4-HMAC-SHA256 \
    Credential=AKIATEST/20261126/us-east-2/secretsmanager/aws4_request, \
    SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
    Signature=94e8531a1f306cb0d331b8913f4cb46083a1a0f782e9b59ae4abbbeb1dda3d4a\r\n\
    Content-Length: 54\r\n\r\n{\"SecretId\": \"prod/app\", \"VersionStage\": \"AWSCURRENT\"}";

/// Reads a request through a socket pair.
async fn request(text: &str) -> io::Result<Option<Request>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(text.as_bytes()).await.unwrap();
    drop(client);
    Request::read(&mut BufReader::new(listener.accept().await.unwrap().0)).await
}

fn shared(region: &str) -> Shared {
    let key = AccessKey::new("AKIATEST", "secret").with_session_token("session");
    let shared = Shared { key, region: region.to_owned(), state: Mutex::default() };
    shared.state().store.put("prod/app", "hidden".to_owned().into());
    shared
}

fn noon() -> SystemTime {
    parse_timestamp("20261126T120000Z").unwrap()
}

fn kind(outcome: (SecretRequest, std::result::Result<Value, SecretsError>)) -> String {
    outcome.1.err().map_or_else(|| "none".to_owned(), |error| error.kind)
}

#[tokio::test]
async fn request_of_botocore_ok() {
    let request = request(BY_BOTOCORE).await.unwrap().unwrap();
    let (seen, outcome) = shared("us-east-2").answer(&request, noon());
    let outcome = outcome.unwrap();
    assert_eq!((&outcome["SecretString"], &outcome["Name"]), (&"hidden".into(), &"prod/app".into()));
    assert_eq!(outcome["VersionStages"], json!(["AWSCURRENT"]));
    assert_eq!((&*seen.secret_id, &*seen.access_key_id, seen.error), ("prod/app", "AKIATEST", None));
}

#[tokio::test]
async fn altered_request_wrong() {
    let rows = [
        ("prod/app", "prod/xpp", "InvalidSignatureException"),
        ("GetSecretValue", "GetSecretValux", "InvalidSignatureException"),
        ("20261126T120000Z", "20261126T120001Z", "InvalidSignatureException"),
        ("127.0.0.1:4567", "127.0.0.1:4568", "InvalidSignatureException"),
        ("POST / ", "POST /? ", "none"),
        ("POST / ", "POST /?a=b ", "InvalidSignatureException"),
        ("x-amz-target, ", ", ", "InvalidSignatureException"),
        ("3d4a\r", "3d4b\r", "InvalidSignatureException"),
        ("AKIATEST", "AKIATESU", "UnrecognizedClientException"),
        ("Token: session", "Token: sessiox", "UnrecognizedClientException"),
        ("Authorization: AWS4", "Authorization: AWS5", "MissingAuthenticationTokenException"),
    ];
    for (from, to, expected) in rows {
        let bent = BY_BOTOCORE.replace(from, to);
        assert_ne!(bent, BY_BOTOCORE);
        let request = request(&bent).await.unwrap().unwrap();
        assert_eq!(kind(shared("us-east-2").answer(&request, noon())), expected, "{from} -> {to}");
    }
    let request = request(BY_BOTOCORE).await.unwrap().unwrap();
    let hour = Duration::from_secs(3600);
    for (region, now) in [("us-east-1", noon()), ("us-east-2", noon() + hour), ("us-east-2", noon() - hour)] {
        assert_eq!(kind(shared(region).answer(&request, now)), "InvalidSignatureException", "{region}");
    }
}

#[tokio::test]
async fn malformed_request_ends_the_connection() {
    for text in [
        "\r\n\r\n",
        "POST",
        "POST / HTTP/1.1\r\nno header\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        assert!(request(text).await.is_err(), "{text:?}");
    }
    assert!(request(&format!("GET / HTTP/1.1\r\na: {}", "x".repeat(70_000))).await.is_err());
    assert!(request("").await.unwrap().is_none());
}

/// Sends a client's request and returns the status and the body.
async fn ask(server: &SecretsServer, asked: Value) -> (u16, Value) {
    let (body, now) = (asked.to_string(), clock::text(clock::system()));
    let date = format!("{}Z", now[..19].replace(['-', ':'], "").replace(' ', "T"));
    let host = server.url().replace("http://", "");
    let (target, signed) = ("secretsmanager.GetSecretValue", "host;x-amz-date;x-amz-target");
    let headers = format!("host:{host}\nx-amz-date:{date}\nx-amz-target:{target}\n");
    let canonical = format!("POST\n/\n\n{headers}\n{signed}\n{}", hash::hex(&hash::sha256(body.as_bytes())));
    let scope = [&date[..8], server.region(), "secretsmanager", "aws4_request"];
    let key = server.access_key();
    let signature = sign(key.secret_access_key(), scope, &date, canonical.as_bytes());
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nx-amz-date: {date}\r\nx-amz-target: {target}\r\nauthorization: \
         AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={signed}, Signature={signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        key.access_key_id(),
        scope.join("/"),
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

async fn text(server: &SecretsServer, asked: Value) -> String {
    let (status, body) = ask(server, asked).await;
    assert_eq!(status, 200, "{body}");
    body["SecretString"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn secret_goes_through_a_rotation() {
    let server = SecretsServer::start().await.unwrap();
    let first = server.put("prod/app", "one");
    assert!(!server.finish_rotation("prod/app"));
    let second = server.rotate("prod/app", "two");
    let by_stage = |stage: &str| json!({ "SecretId": "prod/app", "VersionStage": stage });
    assert_eq!(text(&server, json!({ "SecretId": "prod/app" })).await, "one");
    assert_eq!(text(&server, by_stage("AWSPENDING")).await, "two");
    assert!(server.finish_rotation("prod/app"));
    assert_eq!(text(&server, by_stage("AWSCURRENT")).await, "two");
    assert_eq!(text(&server, by_stage("AWSPREVIOUS")).await, "one");
    let by_version = |id: &str| json!({ "SecretId": server.arn("prod/app"), "VersionId": id });
    assert_eq!(text(&server, by_version(&first)).await, "one");
    assert_eq!(text(&server, by_version(&second)).await, "two");
    let (status, body) = ask(&server, by_stage("AWSPENDING")).await;
    assert_eq!((status, &body["__type"]), (400, &"ResourceNotFoundException".into()));
    server.put("prod/app", "three");
    assert_eq!(text(&server, by_stage("AWSPREVIOUS")).await, "two");
    assert_eq!(ask(&server, by_version(&first)).await.0, 400);
}

#[tokio::test]
async fn version_and_stage_that_disagree_find_nothing() {
    let server = SecretsServer::start().await.unwrap();
    server.put("prod/app", "one");
    let pending = server.rotate("prod/app", "two");
    let asked = |stage: &str| json!({ "SecretId": "prod/app", "VersionId": pending, "VersionStage": stage });

    assert_eq!(text(&server, asked("AWSPENDING")).await, "two");
    let (status, body) = ask(&server, asked("AWSCURRENT")).await;
    assert_eq!((status, &body["__type"]), (400, &"ResourceNotFoundException".into()));
}

#[tokio::test]
async fn service_fails_and_waits_on_request() {
    let server = SecretsServer::start().await.unwrap();
    server.put_binary("raw", [0, 255]);
    server.fail(1, SecretsError::access_denied());
    server.fail(1, SecretsError::kms_denied());
    let asked = || json!({ "SecretId": "raw" });
    for message in ["secretsmanager:GetSecretValue", "KMS"] {
        let (status, body) = ask(&server, asked()).await;
        assert_eq!((status, &body["__type"]), (400, &"AccessDeniedException".into()));
        assert!(body["message"].as_str().unwrap().contains(message), "{body}");
    }
    assert_eq!(ask(&server, asked()).await.1["SecretBinary"], "AP8=");
    let gate = Gate::new();
    server.hold(&gate);
    tokio::select! {
        answer = ask(&server, asked()) => panic!("answered: {answer:?}"),
        () = gate.arrived(1) => {}
    }
    gate.open();
    assert_eq!(ask(&server, asked()).await.0, 200);
    assert!(server.delete("raw"));
    assert_eq!(ask(&server, asked()).await.1["__type"], "ResourceNotFoundException");
    assert!(server.requests().len() >= 5);
}

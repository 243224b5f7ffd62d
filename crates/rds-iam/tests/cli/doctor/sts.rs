//! The doctor with `--sts`.

use rds_testkit::PostgresServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::{Report, report};
use crate::support::{closed_port, program_with, run, server, server_with, session_key, time_server, url};

const ARN: &str = "arn:aws:sts::123456789012:assumed-role/app/i-0abc";

/// A stand-in for STS with one answer; it hands on what it was asked.
async fn sts(status: u16, body: String) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or_default();
            let _ = asked.send(String::from_utf8_lossy(&request[..length]).into_owned());
            let answer = format!(
                "HTTP/1.1 {status} Answer\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: \
                 close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, requests)
}

fn identity() -> String {
    format!(
        "<GetCallerIdentityResponse \
         xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>{ARN}</Arn><UserId>AROAEXAMPLE:i-0abc</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

fn refusal(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

async fn examine(server: &PostgresServer, sts: &str) -> Report {
    let time = time_server(0).await;
    let mut command = program_with(&session_key());
    command.env("AWS_ENDPOINT_URL_STS", sts);
    report(run(command, ["doctor", "--json", "--sts", "--time-url", &time, &url(server, "")]).await)
}

async fn session_server() -> PostgresServer {
    server_with(|builder| builder.access_key(session_key())).await
}

#[tokio::test]
async fn caller_identity_is_shown() {
    let (sts, mut requests) = sts(200, identity()).await;

    let report = examine(&session_server().await, &sts).await;

    assert_eq!(report.code, 0, "{:#}", report.json);
    report.says("credentials", "ok", &format!("temporary, with an unknown expiry, {ARN}"));
    let request = requests.recv().await.expect("was asked");
    assert!(request.contains("Action=GetCallerIdentity"), "{request}");
    assert!(request.contains("/us-east-2/sts/aws4_request"), "{request}");
}

#[tokio::test]
async fn identity_is_named_where_a_policy_may_be_missing() {
    let (sts, _requests) = sts(200, identity()).await;

    let report = examine(&server().await, &sts).await;

    report.first_cause_is(16, "policy");
    let text = report.json.to_string();
    assert!(text.contains(&format!("perhaps no IAM policy allows {ARN} to log in")), "{text}");
    assert!(text.contains("the credentials belong to account 123456789012"), "{text}");
}

macro_rules! refused {
    ($name:ident, $code:expr, $message:expr, $cause:expr) => {
        #[tokio::test]
        async fn $name() {
            let (sts, _requests) = sts(403, refusal($code, $message)).await;
            let server = session_server().await;

            let report = examine(&server, &sts).await;

            report.first_cause_is(13, $cause);
            report.says("credentials", "failed", concat!("STS answered ", $code, ": ", $message));
            report.says("login", "skipped", "");
            assert!(server.attempts().iter().all(|attempt| attempt.password_len == 0));
        }
    };
}

refused!(
    session_ended,
    "ExpiredToken",
    "The security token included in the request is expired",
    "credentials-expired"
);
refused!(
    key_unknown,
    "InvalidClientTokenId",
    "The security token included in the request is invalid.",
    "credentials-refused"
);
refused!(
    secret_wrong,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided.",
    "credentials-refused"
);

#[tokio::test]
async fn clock_skew_is_not_blamed_on_the_credentials() {
    let (sts, _requests) =
        sts(403, refusal("SignatureDoesNotMatch", "Signature expired: 20261123T1000Z")).await;

    let report = examine(&session_server().await, &sts).await;

    report.says("credentials", "ok", "identity unknown (STS answered SignatureDoesNotMatch");
    assert_eq!(report.code, 0);
}

#[tokio::test]
async fn unreachable_sts_is_no_failure() {
    let report = examine(&session_server().await, &format!("http://{}", closed_port().await)).await;

    report.says("credentials", "ok", "; identity unknown (");
    assert_eq!(report.code, 0);
}

#[tokio::test]
async fn sts_is_not_called_unless_requested() {
    let (sts, mut requests) = sts(200, identity()).await;
    let (server, time) = (session_server().await, time_server(0).await);
    let mut command = program_with(&session_key());
    command.env("AWS_ENDPOINT_URL_STS", sts);

    let report = report(run(command, ["doctor", "--json", "--time-url", &time, &url(&server, "")]).await);

    assert_eq!(report.code, 0);
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn control_characters_of_an_sts_answer_are_escaped() {
    let (sts, _) = sts(400, refusal("Evil\n\u{9b}2J\u{202e}", "no")).await;
    let server = session_server().await;
    let (time, url) = (time_server(0).await, url(&server, ""));
    let mut command = program_with(&session_key());
    command.env("AWS_ENDPOINT_URL_STS", sts);

    let ran = run(command, ["doctor", "--sts", "--time-url", &time, &url]).await;

    assert!(ran.out.contains(r"Evil\n\u{9b}2J\u{202e}"), "{:?}", ran.out);
}

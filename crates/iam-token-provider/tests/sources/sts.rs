//! An STS on loopback that gives every caller a key and records the requests.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub(crate) struct Sts {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The method and the path.
    pub(crate) line: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

impl Sts {
    pub(crate) fn start() -> Self {
        Self::answering(200, &assumed())
    }

    pub(crate) fn refusing() -> Self {
        let body = "<ErrorResponse \
                    xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not \
                    authorized</Message></Error></ErrorResponse>";
        Self::answering(403, body)
    }

    fn answering(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (noted, body) = (Arc::clone(&requests), body.to_owned());
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(request) = answer(stream, status, &body) {
                    noted.lock().unwrap().push(request);
                }
            }
        });
        Self { port, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn assumed() -> String {
    let (user, keys) = (
        "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn><AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser>",
        "<Credentials><AccessKeyId>ASIAASSUMED</AccessKeyId><SecretAccessKey>assumed</SecretAccessKey>\
         <SessionToken>session</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>",
    );
    let result = |action: &str| {
        format!(
            "<{action}Response \
             xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{user}{keys}</{action}Result></{action}Response>"
        )
    };
    // The parser of the SDK looks for the action's own element.
    result("AssumeRole")
}

fn answer(stream: TcpStream, status: u16, body: &str) -> Option<Request> {
    let request = read(&stream)?;
    let body = match request.body.contains("Action=AssumeRoleWithWebIdentity") {
        true => body.replace("AssumeRoleRes", "AssumeRoleWithWebIdentityRes"),
        false => body.to_owned(),
    };
    respond(stream, status, "content-type: text/xml", &body)?;
    Some(request)
}

pub(crate) fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (Request::default(), 0);
    reader.read_line(&mut request.line).ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut request.authorization),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut sent = vec![0; length];
    reader.read_exact(&mut sent).ok()?;
    request.body = String::from_utf8(sent).ok()?;
    Some(request)
}

pub(crate) fn respond(mut stream: TcpStream, status: u16, header: &str, body: &str) -> Option<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} -\r\n{header}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .ok()
}

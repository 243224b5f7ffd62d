//! A DNS server on this machine, which knows a few names.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::CNAME},
};
use tokio::net::UdpSocket;

/// A server of names, each with the name that it is an alias of or with its address.
#[derive(Debug)]
pub(crate) struct DnsServer {
    address: SocketAddr,
}

impl DnsServer {
    pub(crate) async fn start(names: &[(&str, &str)]) -> Self {
        Self::answering(names, |_| true).await
    }

    /// A server that never answers questions of some types.
    pub(crate) async fn answering(names: &[(&str, &str)], answers: fn(RecordType) -> bool) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
        let address = socket.local_addr().expect("is bound");
        let names: Vec<_> = names.iter().map(|&(name, value)| (absolute(name), value.to_owned())).collect();
        tokio::spawn(async move {
            let mut packet = [0; 2048];
            while let Ok((length, client)) = socket.recv_from(&mut packet).await {
                let question = Message::from_vec(&packet[..length]).expect("a question");
                if answers(question.queries[0].query_type()) {
                    let answer = answer(question, &names).to_vec().expect("can be written");
                    socket.send_to(&answer, client).await.expect("is sent");
                }
            }
        });
        Self { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers as a server does that asks others: with the chain of aliases and what is at its end.
fn answer(question: Message, names: &[(Name, String)]) -> Message {
    let query = question.queries[0].clone();
    let mut answer = question.into_response();
    let mut name = query.name().clone();
    answer.metadata.response_code = ResponseCode::NXDomain;
    // A circle is as long as this server's patience.
    for _ in 0..8 {
        let Some((_, value)) = names.iter().find(|(known, _)| *known == name) else { break };
        answer.metadata.response_code = ResponseCode::NoError;
        match value.parse() {
            Ok(IpAddr::V4(address)) => {
                if query.query_type() == RecordType::A {
                    answer.add_answer(Record::from_rdata(name.clone(), 1, RData::A(address.into())));
                }
                break;
            }
            Ok(IpAddr::V6(_)) => break,
            Err(_) => {
                let target = absolute(value);
                let alias = RData::CNAME(CNAME(target.clone()));
                answer.add_answer(Record::from_rdata(name, 1, alias));
                if query.query_type() == RecordType::CNAME {
                    break;
                }
                name = target;
            }
        }
    }
    answer
}

/// Takes every byte, as servers that mean no good do.
fn absolute(name: &str) -> Name {
    let mut name = Name::from_labels(name.split('.').map(str::as_bytes)).expect("a name");
    name.set_fqdn(true);
    name
}

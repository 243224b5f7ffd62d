//! Dialling addresses one after the other, on paused time.

use std::{net::Ipv4Addr, sync::Mutex};

use super::*;
use wrapper_core::{ServerError, events::CredentialsFailure};

use crate::resolver_fn;

fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last))).collect()
}

fn dialer(count: u8) -> Dialer {
    Dialer::new(Arc::new(resolver_fn(move |_| Ok(addresses(count)))), false)
}

fn request() -> ConnectRequest {
    ConnectRequest::new("db.example", 5432, "jane").begin(Instant::now() + Duration::from_secs(30))
}

#[tokio::test(start_paused = true)]
async fn black_holed_first_address_costs_its_share() {
    let (start, request) = (Instant::now(), request());

    let answer = dialer(3)
        .dial(&request, |address| {
            Box::pin(async move {
                if address.ip() == addresses(1)[0] {
                    std::future::pending::<()>().await;
                }
                Ok(address.ip())
            })
        })
        .await;

    assert_eq!(answer.expect("the second answers"), addresses(2)[1]);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_server_ends_the_host() {
    let dialled = Mutex::new(0);
    let request = request();

    let error = dialer(3)
        .dial::<()>(&request, |_| {
            *dialled.lock().unwrap() += 1;
            let answer = ServerError::new("28000", "no", None);
            Box::pin(async { Err(Error::new(ErrorKind::Login, "refused").with_source(answer)) })
        })
        .await
        .expect_err("refused");

    assert!(error.is_login());
    assert_eq!(*dialled.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_address_is_named_when_none_answers() {
    let request = request();

    let error = dialer(2)
        .dial::<()>(&request, |_| Box::pin(std::future::pending()))
        .await
        .expect_err("no address answers");

    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(text.contains("10.0.0.1:5432") && text.contains("10.0.0.2:5432"), "{text}");
    assert!(text.contains("still opening the TCP connection"), "{text}");
}

#[tokio::test]
async fn host_missing_in_dns_is_named() {
    let dialer = Dialer::new(Arc::new(resolver_fn(|_| Err(std::io::Error::other("nxdomain")))), false);

    let error = dialer.dial::<()>(&request(), |_| unreachable!()).await.expect_err("no address");

    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert!(error.to_string().contains("`db.example`"), "{error}");
}

#[test]
fn shuffled_items_are_all_there() {
    let mut items: Vec<_> = (0..50).collect();
    shuffle(&mut items);
    items.sort_unstable();
    assert_eq!(items, (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn error_that_no_other_address_changes_ends_the_loop() {
    for kind in [ErrorKind::Configuration, ErrorKind::Credentials(CredentialsFailure::Failed)] {
        let dialled = Mutex::new(0);

        let error = dialer(3)
            .dial(&request(), |_| {
                *dialled.lock().expect("not poisoned") += 1;
                Box::pin(async move { Err::<(), _>(Error::new(kind, "the same for all")) })
            })
            .await
            .expect_err("fails");

        let dialled = dialled.into_inner().expect("not poisoned");
        assert_eq!((error.to_string().as_str(), dialled), ("the same for all", 1), "{kind:?}");
    }
}

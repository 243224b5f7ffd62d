//! Connections that a plugin ends: idle, in flight, and with an answer that nobody fetches.

use super::*;

async fn postgres(rig: &Fixture, stack: pg::TlsStack) -> Connected<pg::PgConnection> {
    let connector = rig.builder(rig.url()).tls_stack(stack).build().expect("builds");
    connector.connect_established().await.expect("is let in")
}

fn demoted() -> Error {
    Error::new(ErrorKind::Transient, "the instance was demoted")
}

/// The activity of a client when its connection is ended.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Nothing,
    Waiting,
    NotFetching,
}

async fn ended(stack: pg::TlsStack, doing: Doing) {
    let rig = Fixture::start().await;
    let Connected { connection: (client, connection), established, .. } = postgres(&rig, stack).await;
    let (polls, mut connection) = (Arc::new(AtomicUsize::new(0)), connection);
    let counter = Arc::clone(&polls);
    let task = tokio::spawn(poll_fn(move |context| {
        counter.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut connection).poll(context)
    }));
    assert!(established.abort_handle().is_held());
    client.simple_query("SELECT 1").await.expect("answers");
    let client = Arc::new(client);
    let (gate, mut waits, mut unfetched) = (Gate::new(), None, None);
    match doing {
        Doing::Nothing => {}
        Doing::Waiting => {
            rig.server.inject(Fault::Hang(Phase::Command, gate.clone()));
            let asks = Arc::clone(&client);
            waits = Some(tokio::spawn(async move { asks.simple_query("SELECT 1").await }));
            gate.arrived(1).await;
        }
        Doing::NotFetching => {
            // More than the buffers on the way take.
            let many = "SELECT 1;".repeat(200_000);
            unfetched = Some(client.simple_query_raw(&many).await.expect("is sent"));
            // Until both sides wait for us: the driver reads no more.
            let mut before = 0;
            while before != polls.load(Ordering::SeqCst) {
                before = polls.load(Ordering::SeqCst);
                for _ in 0..10_000 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    assert!(established.abort_handle().abort(demoted()));

    let task = tokio::time::timeout(Duration::from_secs(10), task).await.expect("ends at once");
    let error = task.expect("does not panic").expect_err("was ended");
    assert_eq!(Error::find(&error).expect("our reason").to_string(), "the instance was demoted");
    assert!(client.is_closed() && !established.abort_handle().is_held());
    if let Some(waits) = waits {
        waits.await.expect("does not panic").expect_err("gets no answer");
    }
    drop(unfetched);
}

#[tokio::test]
async fn idle_connection_is_ended() {
    ended(pg::TlsStack::NativeTls, Doing::Nothing).await;
    ended(pg::TlsStack::Rustls, Doing::Nothing).await;
}

#[tokio::test]
async fn connection_with_a_query_in_flight_is_ended() {
    ended(pg::TlsStack::NativeTls, Doing::Waiting).await;
    ended(pg::TlsStack::Rustls, Doing::Waiting).await;
}

#[tokio::test]
async fn connection_with_an_unread_answer_is_aborted() {
    ended(pg::TlsStack::NativeTls, Doing::NotFetching).await;
    ended(pg::TlsStack::Rustls, Doing::NotFetching).await;
}

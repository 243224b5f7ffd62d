//! Message sequences that no driver exposes to a test.

use bytes::BytesMut;
use pgwire::messages::extendedquery::{Bind, Execute, Parse, Sync};
use pgwire::messages::simplequery::Query;
use pgwire::messages::terminate::Terminate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::postgres::PostgresServer;

/// Runs a session over `messages` and returns the types of the answers, without those of row
/// contents.
async fn answers(messages: Vec<PgWireFrontendMessage>) -> String {
    let server = PostgresServer::builder().start().await.unwrap();
    let (mut client, stream) = tokio::io::duplex(65_536);
    let mut wire = Wire::new(stream);
    wire.expect_startup();
    wire.expect_messages();
    let mut input = BytesMut::new();
    for message in messages.into_iter().chain([PgWireFrontendMessage::Terminate(Terminate::new())]) {
        message.encode(&mut input).unwrap();
    }
    client.write_all(&input).await.unwrap();
    let session = Session::new("jane", "app", &server.state, server.state.journal.open(0));
    serve(&mut wire, &server.state, session).await.unwrap();
    wire.close().await.unwrap();
    let mut output = Vec::new();
    client.read_to_end(&mut output).await.unwrap();
    let mut types = String::new();
    let mut rest = &output[..];
    while let [kind, a, b, c, d, ..] = *rest {
        types.push(char::from(kind));
        rest = &rest[1 + u32::from_be_bytes([a, b, c, d]) as usize..];
    }
    types
}

fn parse(sql: &str) -> PgWireFrontendMessage {
    PgWireFrontendMessage::Parse(Parse::new(None, sql.to_owned(), Vec::new()))
}

fn bind() -> PgWireFrontendMessage {
    PgWireFrontendMessage::Bind(Bind::new(None, None, Vec::new(), Vec::new(), Vec::new()))
}

fn execute() -> PgWireFrontendMessage {
    PgWireFrontendMessage::Execute(Execute::new(None, 0))
}

fn sync() -> PgWireFrontendMessage {
    PgWireFrontendMessage::Sync(Sync::new())
}

fn query(sql: &str) -> PgWireFrontendMessage {
    PgWireFrontendMessage::Query(Query::new(sql.to_owned()))
}

#[tokio::test]
async fn pipeline_ok() {
    assert_eq!(answers(vec![parse("SELECT 1"), bind(), execute(), sync()]).await, "12DCZ");
}

#[tokio::test]
async fn messages_after_an_error_are_skipped_until_sync() {
    let messages = vec![parse("nonsense"), bind(), execute(), sync(), parse("SELECT 1"), bind(), sync()];
    assert_eq!(answers(messages).await, "EZ12Z");
}

#[tokio::test]
async fn statement_or_portal_unknown_wrong() {
    assert_eq!(answers(vec![bind(), sync(), execute(), sync()]).await, "EZEZ");
}

#[tokio::test]
async fn empty_query_has_an_answer_of_its_own() {
    assert_eq!(answers(vec![query(""), query(" ; "), query("SELECT 1; SET a = b")]).await, "IZIZTDCCZ");
}

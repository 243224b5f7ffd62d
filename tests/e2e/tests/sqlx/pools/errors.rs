//! Errors of pools: explained, and without a second login.

use super::*;

#[tokio::test]
async fn refusal_is_explained() {
    let (pg, mysql) = (postgres().await, mysql().await);
    let (pg_pool, mysql_pool) = (pg_pool(&pg).await, mysql_pool(&mysql).await);
    pg.server.token_policy().deny(pg.server.access_key().access_key_id(), USER);
    mysql.server.token_policy().deny(mysql.server.access_key().access_key_id(), USER);

    let refused = pg_pool.pool().acquire().await.expect_err("is refused");
    let also_refused = mysql_pool.pool().acquire().await.expect_err("is refused");

    for (error, first) in
        [(pg_pool.explain(refused), "policy"), (mysql_pool.explain(also_refused), "grant-missing")]
    {
        assert!(error.is_login(), "{error}");
        assert_eq!(error.diagnosis()[0].code(), first, "{error}");
        let codes: Vec<_> = error.diagnosis().iter().map(|cause| cause.code()).collect();
        assert!(codes.contains(&"credentials-refused"), "{codes:?}");
        assert!(error.to_string().contains("; the token was signed "), "{error}");
    }
}

#[tokio::test]
async fn refused_statement_is_no_refused_login() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;

    let error =
        sqlx::query("SELECT nothing FROM nowhere").execute(pool.pool()).await.expect_err("is unknown");
    let error = pool.explain(error);

    assert_eq!((error.kind(), error.diagnosis().len()), (ErrorKind::Driver, 0), "{error}");
    assert_eq!(error.server().expect("is kept").code(), "0A000");
}

#[tokio::test]
async fn refused_login_is_not_tried_again() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;
    rig.server.inject_always(Fault::Refuse(ServerError::pam_refused(USER)));

    let error = pool.pool().acquire().await.expect_err("refused");

    assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("28000"));
    assert_eq!(rig.server.refused(), 1);
}

#[tokio::test]
async fn certificate_for_another_name_gets_no_token() {
    let postgres = Fixture::start().await;
    let pool: PgFreshPool = builder(&postgres, "postgres", postgres.server.port(), postgres.server.ca_pem())
        .build()
        .await
        .expect("builds");
    pool.pool().acquire().await.expect_err("the certificate carries another name");
    assert_eq!(postgres.server.wait_for_attempts(1).await[0].password_len, 0);

    let mysql = mysql::Fixture::start().await;
    let pool: MySqlFreshPool =
        builder(&mysql, "mysql", mysql.server.port(), mysql.server.ca_pem()).build().await.expect("builds");
    pool.pool().acquire().await.expect_err("the certificate carries another name");
    assert_eq!(mysql.server.wait_for_attempts(1).await[0].password_len, 0);
}

#[tokio::test]
async fn server_without_tls_gets_no_token() {
    let postgres = postgres().await;
    postgres.server.inject_always(Fault::NoTls);
    pg_pool(&postgres).await.pool().acquire().await.expect_err("no tls");
    assert_eq!(postgres.server.wait_for_attempts(1).await[0].password_len, 0);

    let mysql = mysql().await;
    mysql.server.inject_always(Fault::NoTls);
    mysql_pool(&mysql).await.pool().acquire().await.expect_err("no tls");
    assert_eq!(mysql.server.wait_for_attempts(1).await[0].password_len, 0);
    assert!(mysql.server.clear_text().is_empty());
}

async fn handshake<D: Engine>(pool: &FreshPool<D>) -> Error {
    pool.explain(pool.pool().acquire().await.map(drop).expect_err("cannot be verified"))
}

#[tokio::test]
async fn failed_handshake_is_explained_as_by_the_other_adapters() {
    let (pg, mysql) = (postgres().await, mysql().await);
    let (pg_pool, mysql_pool) = (pg_pool(&pg).await, mysql_pool(&mysql).await);
    let other = CertificateAuthority::generate().expect("generates");
    for (fault, says) in [
        (Fault::NoTls, "the server at `localhost` does not offer TLS, so nothing secret was sent"),
        (
            Fault::CertificateFrom(other),
            "the certificate of `localhost` is not signed by a trusted authority (trusted: ",
        ),
        (Fault::CertificateFor("db.example".to_owned()), "certificate is not for `localhost` (trusted: "),
        (Fault::CertificateExpired, "is outside its period of validity"),
    ] {
        pg.server.inject_always(fault.clone());
        mysql.server.inject_always(fault);

        for error in [handshake(&pg_pool).await, handshake(&mysql_pool).await] {
            assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
            assert!(error.to_string().contains(says), "{error} should say {says}");
        }
        pg.server.clear_faults();
        mysql.server.clear_faults();
    }
}

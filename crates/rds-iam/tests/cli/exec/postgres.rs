//! The real clients of PostgreSQL, where they are installed.

use rds_testkit::AccessKey;

use crate::support::{CommandOutput, HOST, USER, installed, program_with, server_with};

#[tokio::test]
async fn tokens_of_every_length_arrive_whole() {
    for (client, arguments) in [("psql", vec!["-c", "SELECT 1"]), ("pg_dump", vec!["--schema-only"])] {
        if !installed(client).await {
            continue;
        }
        for length in [100, 1_400, 3_200, 7_000] {
            let key = AccessKey::new("ASIAQQQQWWWWEEEERRRR", "secret").with_session_token("s".repeat(length));
            let server = server_with(|builder| builder.access_key(key)).await;
            let mut command = program_with(server.access_key());
            command.args([
                "exec",
                "--host",
                HOST,
                "--hostaddr",
                "127.0.0.1",
                "--user",
                USER,
                "--database",
                "app",
            ]);
            command.args(["--port", &server.port().to_string()]).arg("--sslrootcert").arg(server.ca_file());
            command.args(["--", client]).args(&arguments);

            let ran = CommandOutput::from(command.output().await.expect("runs"));

            let attempts = server.attempts();
            assert!(
                attempts.iter().any(|attempt| attempt.password_len > length),
                "{client} {length}: {attempts:?}"
            );
            // What a dump asks for is more than the server of the tests knows.
            assert_eq!(server.accepted(), 1, "{client} {length}: {}", ran.err);
            assert!(!ran.err.contains("sss"), "{client} {length}: {}", ran.err);
        }
    }
}

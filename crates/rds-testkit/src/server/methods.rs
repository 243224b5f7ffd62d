//! The methods shared by the builders and servers of both protocols.

/// The settings of a builder with the field `description` that do not depend on the protocol.
macro_rules! builder_methods {
    () => {
        /// Adds a name that the server answers to: tokens are signed for it and the certificate
        /// carries it.
        ///
        /// Repeatable; the first is the server's `host()`. Default
        /// `db.abc123.us-east-2.rds.amazonaws.com`.
        pub fn host(mut self, host: impl Into<String>) -> Self {
            self.description.hosts.push(host.into());
            self
        }

        /// Adds a name or an address to the certificate alone, for clients that check what they
        /// dial, such as `localhost`.
        pub fn certificate_name(mut self, name: impl Into<String>) -> Self {
            self.description.names.push(name.into());
            self
        }

        /// Sets the region that tokens must be signed for; default `us-east-2`, regardless of the
        /// host's name.
        pub fn region(mut self, region: impl Into<String>) -> Self {
            self.description.region = Some(region.into());
            self
        }

        /// Sets the port that tokens must be signed for; default the one that the server listens
        /// on.
        pub fn signed_port(mut self, port: u16) -> Self {
            self.description.signed_port = Some(port);
            self
        }

        /// Adds a key with valid tokens; repeatable, the first is the server's `access_key()`.
        ///
        /// Default: one static key made for the run, which may connect as every user.
        pub fn access_key(mut self, key: $crate::AccessKey) -> Self {
            self.description.access_keys.push(key);
            self
        }

        /// Lets this certificate authority issue the certificate, so that several servers share
        /// one; default a new one.
        pub fn ca(mut self, ca: &$crate::CertificateAuthority) -> Self {
            self.description.ca = Some(ca.clone());
            self
        }

        /// Sets the port of 127.0.0.1 to listen on; default a free one.
        pub fn port(mut self, port: u16) -> Self {
            self.description.port = port;
            self
        }

        /// Answers a statement, in text and prepared, regardless of blanks, case and a schema
        /// qualifier.
        ///
        /// Repeatable; a later answer to the same statement replaces the earlier.
        pub fn answer(self, statement: &str, rows: $crate::Rows) -> Self {
            self.description.answers.set(statement, rows);
            self
        }

        /// Forwards the sessions of accepted logins to a real database, as this user of it; default
        /// off.
        ///
        /// The login is checked here, then a session is opened there, without TLS, with the
        /// client's database and options, and bytes are relayed. Answers, faults at statements and
        /// `queries()` do not apply then.
        pub fn forward_to(
            mut self,
            address: std::net::SocketAddr,
            user: impl Into<String>,
            password: impl Into<String>,
        ) -> Self {
            let (user, password) = (user.into(), password.into());
            self.description.forward = Some($crate::forward::Target { addr: address, user, password });
            self
        }

        /// Sets the source of the time by which tokens are judged; default the system's clock.
        pub fn clock(mut self, clock: impl Fn() -> std::time::SystemTime + Send + Sync + 'static) -> Self {
            self.description.clock = Some(Box::new(clock));
            self
        }
    };
}

/// The methods of a server with the fields `state` and `running` that do not depend on the
/// protocol.
macro_rules! server_methods {
    () => {
        /// Returns the address to dial.
        #[must_use]
        pub fn addr(&self) -> std::net::SocketAddr {
            self.running().addr
        }

        /// Returns the port to dial; tokens are signed for it too unless the builder said
        /// otherwise.
        #[must_use]
        pub fn port(&self) -> u16 {
            self.running().addr.port()
        }

        /// Returns the port that tokens must be signed for.
        #[must_use]
        pub fn signed_port(&self) -> u16 {
            self.shared().endpoint.port
        }

        /// Returns the first name of the server: the one to sign for and to check the certificate
        /// against.
        #[must_use]
        pub fn host(&self) -> &str {
            &self.shared().endpoint.hosts[0]
        }

        /// Returns the region that tokens must be signed for.
        #[must_use]
        pub fn region(&self) -> &str {
            &self.shared().endpoint.region
        }

        /// Returns the first user that logs in by token.
        #[must_use]
        pub fn user(&self) -> &str {
            &self.running().user
        }

        /// Returns the certificate authority that clients must trust.
        #[must_use]
        pub fn ca(&self) -> &$crate::CertificateAuthority {
            &self.shared().ca
        }

        /// Returns the certificate that clients must trust, in PEM form.
        #[must_use]
        pub fn ca_pem(&self) -> &str {
            self.shared().ca.pem()
        }

        /// Returns the same certificate as a file, which is removed with the server.
        #[must_use]
        pub fn ca_file(&self) -> &std::path::Path {
            self.running().ca_file.path()
        }

        /// Returns the first access key: the credentials for the program under test.
        #[must_use]
        pub fn access_key(&self) -> &$crate::AccessKey {
            &self.running().access_key
        }

        /// Returns the rules, to be changed while the server runs.
        #[must_use]
        pub fn token_policy(&self) -> &$crate::TokenPolicy {
            &self.shared().token_policy
        }

        /// Returns a token provider with the first access key and the server's clock, which
        /// [`advance`](Self::advance) moves too.
        ///
        /// # Errors
        ///
        /// None today; building is fallible like every builder's.
        #[cfg(feature = "iam-token-provider")]
        pub fn token_provider(&self) -> $crate::Result<iam_token_provider::IamTokenProvider> {
            $crate::provider::provider(self.access_key(), self.token_policy())
        }

        /// Moves the server's clock forward; [`TokenPolicy::rewind`](crate::TokenPolicy::rewind)
        /// moves it back.
        pub fn advance(&self, by: std::time::Duration) {
            self.shared().token_policy.advance(by);
        }

        /// Injects a fault that happens once, the next time a connection reaches its point.
        ///
        /// Of several faults for the same point the oldest applies first.
        pub fn inject(&self, fault: $crate::Fault) {
            self.inject_times(1, fault);
        }

        /// Injects a fault that happens the next `times` times.
        pub fn inject_times(&self, times: usize, fault: $crate::Fault) {
            self.shared().faults.add(fault, Some(times));
        }

        /// Injects a fault that happens every time until [`clear_faults`](Self::clear_faults).
        pub fn inject_always(&self, fault: $crate::Fault) {
            self.shared().faults.add(fault, None);
        }

        /// Cuts all open connections, as a crash or a failover does; new ones are served.
        pub fn drop_connections(&self) {
            self.running().cut();
        }

        /// Freezes the server like a stopped process: the system accepts connections, but none is
        /// answered.
        pub fn freeze(&self) {
            self.running().freeze(true);
        }

        /// Resumes after [`freeze`](Self::freeze).
        pub fn thaw(&self) {
            self.running().freeze(false);
        }

        /// Answers a statement from now on, in text and prepared, even one with a built-in answer.
        pub fn answer(&self, statement: &str, rows: $crate::Rows) {
            self.shared().answers.set(statement, rows);
        }

        /// Returns the last 10,000 statements received, the oldest first, each truncated to 4 KiB.
        ///
        /// A prepared statement appears once per execution.
        #[must_use]
        pub fn queries(&self) -> Vec<String> {
            self.shared().journal.queries()
        }

        /// Returns the last 10,000 requests to cancel a statement or to end a session, the oldest
        /// first.
        #[must_use]
        pub fn cancels(&self) -> Vec<$crate::Cancel> {
            self.shared().journal.cancels()
        }

        /// Returns a URL for an `rds-wrapper` application: dialled by address, signed and verified
        /// for the name.
        ///
        /// Where the certificate has the name `localhost` too, that is dialled.
        #[must_use]
        pub fn url(&self) -> String {
            self.shared().url(self.running())
        }

        /// Returns the environment for a program under test: the credentials, the region and
        /// `DATABASE_URL`.
        #[must_use]
        pub fn env(&self) -> Vec<(&'static str, String)> {
            self.shared().env(self.running())
        }

        /// Returns the last 10,000 completed attempts, in the order of completion.
        ///
        /// An attempt is recorded before the client learns its outcome.
        #[must_use]
        pub fn attempts(&self) -> Vec<$crate::Attempt> {
            self.shared().record.attempts()
        }

        /// Waits until at least `count` attempts are complete and returns
        /// [`attempts`](Self::attempts).
        ///
        /// Needed where the client knows first, for example after it aborted a TLS handshake.
        ///
        /// # Cancel safety
        ///
        /// Dropping the future loses nothing.
        pub async fn wait_for_attempts(&self, count: usize) -> Vec<$crate::Attempt> {
            self.shared().record.reached(count).await
        }

        /// Returns the number of accepted logins since the start.
        #[must_use]
        pub fn accepted(&self) -> usize {
            self.shared().record.count(|outcome| outcome == $crate::Outcome::Accepted)
        }

        /// Returns the number of refused logins since the start.
        #[must_use]
        pub fn refused(&self) -> usize {
            self.shared().record.count(|outcome| matches!(outcome, $crate::Outcome::Refused(_)))
        }

        /// Returns the digest that represents a password in the attempts of this server.
        #[must_use]
        pub fn digest(&self, password: &str) -> $crate::PasswordDigest {
            self.shared().record.digest(password.as_bytes())
        }
    };
}

pub(crate) use {builder_methods, server_methods};

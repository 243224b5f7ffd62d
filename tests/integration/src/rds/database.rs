//! A database as the environment names it.

use rds_wrapper::{
    IamTokenProvider,
    host::{Resolver, SystemResolver},
    iam::TokenRequest,
};

use crate::{
    Result,
    connector::{not_built, seen},
    environment::{Engine, Observation},
    login::Login,
};

/// The further endpoints of a database, by the middle of the variable that names each.
const KINDS: [(&str, &str); 4] =
    [("reader", "READER"), ("instance", "INSTANCE"), ("custom", "CUSTOM"), ("proxy", "PROXY")];

/// A database as the environment names it.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) engine: Engine,
    pub(super) user: String,
    /// A plain login by token.
    pub(super) login: Login,
    /// The endpoints for the certificate cases, by kind; the name of the variable for those not
    /// given.
    pub(super) endpoints: Vec<(&'static str, std::result::Result<String, String>)>,
}

impl Database {
    /// Reads the variables with a prefix; `None` without a host.
    pub(super) fn read(
        engine: Engine,
        prefix: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        let own = |name: &str| variable(&format!("{prefix}_{name}"));
        let Some(host) = own("HOST") else { return Ok(None) };
        let user = own("USER")
            .or_else(|| variable("RDS_DB_USER"))
            .ok_or_else(|| format!("{prefix}_HOST is set, but neither {prefix}_USER nor RDS_DB_USER"))?;
        let login = Login::new(engine).with("host", &host).with("user", &user).with("plugins", "iam");
        let optional = [
            ("port", own("PORT")),
            ("database", own("DATABASE")),
            ("sslrootcert", own("SSLROOTCERT").or_else(|| variable("RDS_SSLROOTCERT"))),
            ("iamHost", own("IAM_HOST")),
            ("iamDefaultPort", own("IAM_PORT")),
            ("iamRegion", own("IAM_REGION").or_else(|| variable("RDS_IAM_REGION"))),
        ];
        let given = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let login = given.fold(login, |login, (name, value)| login.with(name, value));
        let further = KINDS.into_iter().map(|(kind, middle)| {
            let name = format!("{middle}_HOST");
            (kind, own(&name).ok_or_else(|| format!("{prefix}_{name}")))
        });
        let endpoints = [("named", Ok(host))].into_iter().chain(further).collect();
        Ok(Some(Self { engine, user, login, endpoints }))
    }

    /// Returns the host that is dialled.
    pub(super) fn host(&self) -> &str {
        self.login.value("host").unwrap_or_default()
    }

    /// Returns the host that tokens are signed for.
    pub(super) fn signed_host(&self) -> &str {
        self.login.value("iamHost").unwrap_or(self.host())
    }

    /// Returns the port that is dialled.
    pub(super) fn port(&self) -> u16 {
        let default = if matches!(self.engine, Engine::Postgres) { 5432 } else { 3306 };
        self.login.value("port").and_then(|port| port.parse().ok()).unwrap_or(default)
    }

    /// Returns what tokens are signed for.
    pub(super) fn target(&self) -> Result<TokenRequest> {
        let port = self.login.value("iamDefaultPort").map_or(Ok(self.port()), str::parse)?;
        let host = self.signed_host();
        Ok(match self.login.value("iamRegion") {
            Some(region) => TokenRequest::database_in(host, port, &self.user, region)?,
            None => TokenRequest::database(host, port, &self.user)?,
        })
    }

    /// Returns the login with this text instead of a token.
    pub(super) fn by_text(&self, text: &str) -> Login {
        let signing = ["iamHost", "iamDefaultPort", "iamRegion"];
        let login = signing.into_iter().fold(self.login.clone(), Login::without);
        login.with("tlsServerName", self.signed_host()).with_text(text)
    }

    /// Returns the login by address, signed for the name.
    pub(super) async fn by_address(&self) -> Result<Login> {
        let host = self.host();
        let addresses = SystemResolver.resolve(host).await?;
        let address = addresses.first().ok_or_else(|| format!("{host} has no address"))?;
        Ok(self.login.clone().with("host", address.to_string()).with("iamHost", self.signed_host()))
    }

    /// Logs in once.
    pub(super) async fn try_out(&self, login: &Login, tokens: &IamTokenProvider) -> Observation {
        match login.build(tokens, SystemResolver) {
            Ok(connector) => seen(connector.log_in().await),
            Err(error) => not_built(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Database>> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Database::read(Engine::Postgres, "RDS_PG", &variable)
    }

    #[test]
    fn no_host_is_no_database() {
        assert!(read(&[("RDS_DB_USER", "jane")]).unwrap().is_none());
    }

    #[test]
    fn host_without_user_is_named() {
        let error = read(&[("RDS_PG_HOST", "db.example")]).unwrap_err();
        assert!(error.to_string().contains("neither RDS_PG_USER nor RDS_DB_USER"), "{error}");
    }

    #[test]
    fn engine_s_own_variable_wins_over_the_one_for_both() {
        let host = ("RDS_PG_HOST", "db.example");
        let both = read(&[host, ("RDS_DB_USER", "jane"), ("RDS_SSLROOTCERT", "both.pem")]).unwrap().unwrap();
        assert_eq!((both.user.as_str(), both.login.value("sslrootcert")), ("jane", Some("both.pem")));
        let own = read(&[host, ("RDS_DB_USER", "jane"), ("RDS_PG_USER", "bob")]).unwrap().unwrap();
        assert_eq!(own.user, "bob");
    }

    #[test]
    fn endpoint_left_out_names_its_variable() {
        let given =
            [("RDS_PG_HOST", "a.example"), ("RDS_DB_USER", "jane"), ("RDS_PG_READER_HOST", "b.example")];
        let database = read(&given).unwrap().unwrap();
        assert_eq!(database.endpoints[1], ("reader", Ok("b.example".to_owned())));
        assert_eq!(database.endpoints[2], ("instance", Err("RDS_PG_INSTANCE_HOST".to_owned())));
    }
}

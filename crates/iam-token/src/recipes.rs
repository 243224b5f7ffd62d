//! The recipes of the services, as functions.

use std::time::Duration;

use crate::{Presign, PresignBuilder, Recipe, names, region::dns_suffix};

const FIFTEEN_MINUTES: Duration = Duration::from_secs(15 * 60);

/// Creates the recipe of the password for an RDS or Aurora database user, or for an RDS Proxy.
///
/// The host is the endpoint's own name, not an alias or a tunnel's address: it is lower-cased and
/// loses one trailing dot. The port is always signed, 443 and 80 included. The user is taken as
/// plain text. The token opens connections for 15 minutes; open connections outlive it.
///
/// Source: <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>.
pub fn rds(host: &str, port: u16, user: &str) -> Recipe {
    let request = || password(Presign::https(host)).port(port).query("DBUser", user).service("rds-db");
    Recipe::new(names::check_database_user(user).map(|()| request()))
}

/// Creates the recipe of the token that logs a custom database role in to an Aurora DSQL cluster
/// (`DbConnect`).
///
/// The token names no role: each one that the caller may assume takes it.
///
/// Source:
/// <https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html>.
pub fn dsql(host: &str) -> Recipe {
    dsql_action(host, "DbConnect")
}

/// Creates the recipe of the password for the role `admin` at an Aurora DSQL cluster
/// (`DbConnectAdmin`).
///
/// Source:
/// <https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html>.
pub fn dsql_admin(host: &str) -> Recipe {
    dsql_action(host, "DbConnectAdmin")
}

fn dsql_action(host: &str, action: &str) -> Recipe {
    let request = Presign::https(host).without_scheme().query("Action", action).service("dsql");
    Recipe::new(Ok(request.lifetime(FIFTEEN_MINUTES)))
}

/// Creates the recipe of the password for an ElastiCache user at a node-based cache (replication
/// group).
///
/// `name` is the cache's own, not its endpoint: the id of the replication group, which is
/// lower-cased. The user's id and name must be equal.
///
/// Source: <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html>.
pub fn elasticache(name: &str, user: &str) -> Recipe {
    let request = || password(Presign::http(name)).query("User", user).service("elasticache");
    Recipe::new(names::check_cache(name).and_then(|()| names::check_cache_user(user)).map(|()| request()))
}

/// Creates the recipe of the password for an ElastiCache user at a serverless cache.
///
/// As [`elasticache`], with `ResourceType=ServerlessCache`.
pub fn elasticache_serverless(name: &str, user: &str) -> Recipe {
    let request = || {
        let request = password(Presign::http(name)).query("User", user);
        request.query("ResourceType", "ServerlessCache").service("elasticache")
    };
    Recipe::new(names::check_cache(name).and_then(|()| names::check_cache_user(user)).map(|()| request()))
}

/// Creates the recipe of the password for a MemoryDB user.
///
/// `name` is the cluster's own, not its endpoint; it is lower-cased.
///
/// Source: <https://docs.aws.amazon.com/memorydb/latest/devguide/auth-iam.html>.
pub fn memorydb(name: &str, user: &str) -> Recipe {
    let request = || password(Presign::http(name)).query("User", user).service("memorydb");
    Recipe::new(names::check_cluster(name).and_then(|()| names::check_cache_user(user)).map(|()| request()))
}

/// Creates the recipe of the OAuth bearer token for MSK with IAM access control (SASL/OAUTHBEARER).
///
/// It is valid for a whole region; the caller's policies decide what it may do. Kafka clients need
/// its expiry in milliseconds:
/// [`AuthToken::expires_at_millis`](crate::AuthToken::expires_at_millis). The brokers log this
/// crate's name and version as the client. The host is that of the region's own partition; AWS's
/// Python and Go signers write `amazonaws.com` in each, which fails in China.
///
/// Source: the signers of
/// <https://docs.aws.amazon.com/msk/latest/developerguide/configure-clients-for-iam-access-control.html>.
pub fn msk(region: &str) -> Recipe {
    const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    Recipe::in_region(region, |region| {
        Ok(Presign::https(&format!("kafka.{region}.{}", dns_suffix(region)))
            .query("Action", "kafka-cluster:Connect")
            // AWS's own signers append it after signing, too.
            .unsigned_query("User-Agent", USER_AGENT)
            .service("kafka-cluster")
            .lifetime(FIFTEEN_MINUTES)
            .max_lifetime(FIFTEEN_MINUTES)
            .base64url(""))
    })
}

/// Creates the recipe of the bearer token for the API server of an EKS cluster.
///
/// `name` is the cluster's name, or the id of a local cluster on an Outpost. The token is a request
/// to STS that the API server sends in the caller's name. It is signed for 60 seconds, as by `aws
/// eks get-token`; the cluster is known to take it for about 15 minutes.
///
/// Source:
/// <https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster>.
pub fn eks(name: &str, region: &str) -> Recipe {
    Recipe::in_region(region, |region| {
        names::check_eks_cluster(name)?;
        Ok(Presign::https(&format!("sts.{region}.{}", dns_suffix(region)))
            .query("Action", "GetCallerIdentity")
            .query("Version", "2011-06-15")
            // Binds the token to one cluster: aws-iam-authenticator sends the header with its own
            // name.
            .header("x-k8s-aws-id", name)
            .service("sts")
            .lifetime(Duration::from_secs(60))
            .max_lifetime(FIFTEEN_MINUTES)
            .base64url("k8s-aws-v1."))
    })
}

/// Adds what the passwords of databases and caches have in common.
fn password(request: PresignBuilder) -> PresignBuilder {
    request
        .without_scheme()
        .query("Action", "connect")
        .lifetime(FIFTEEN_MINUTES)
        .max_lifetime(FIFTEEN_MINUTES)
}

//! The rules of each service for names of caches, clusters and users.

use crate::{Error, ErrorKind, host::is_name_character, region::shown};

/// The rules of a name: its characters are letters, digits and these.
struct Rule {
    what: &'static str,
    kind: ErrorKind,
    max: usize,
    others: &'static str,
    first_is_letter: bool,
    /// No hyphen at the end, and never two side by side.
    single_hyphens: bool,
    expected: &'static str,
}

/// Source: `ReplicationGroupId` of
/// <https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateReplicationGroup.html>.
const CACHE: Rule = Rule {
    what: "cache",
    kind: ErrorKind::InvalidCache,
    max: 40,
    others: "-",
    first_is_letter: true,
    single_hyphens: true,
    expected: "1 to 40 letters, digits and single hyphens, a letter first",
};

/// Source: `ClusterName` of
/// <https://docs.aws.amazon.com/memorydb/latest/devguide/clusters.create.html>.
const CLUSTER: Rule = Rule { what: "cluster", kind: ErrorKind::InvalidCluster, ..CACHE };

/// Source: `UserId` and `UserName`, which must be equal, of
/// <https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateUser.html>,
/// and `UserName` of
/// <https://docs.aws.amazon.com/memorydb/latest/APIReference/API_CreateUser.html>.
const CACHE_USER: Rule = Rule {
    what: "user",
    kind: ErrorKind::InvalidUser,
    max: 120,
    others: "-",
    first_is_letter: true,
    single_hyphens: false,
    expected: "1 to 120 letters, digits and hyphens, a letter first",
};

/// Source: `name` of <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html>.
const EKS_CLUSTER: Rule = Rule {
    what: "cluster",
    kind: ErrorKind::InvalidCluster,
    max: 100,
    others: "-_",
    first_is_letter: false,
    single_hyphens: false,
    expected: "1 to 100 letters, digits, hyphens and underscores, a letter or digit first",
};

pub(crate) fn check_cache(name: &str) -> Result<(), Error> {
    CACHE.check(name)
}

pub(crate) fn check_cluster(name: &str) -> Result<(), Error> {
    CLUSTER.check(name)
}

pub(crate) fn check_eks_cluster(name: &str) -> Result<(), Error> {
    EKS_CLUSTER.check(name)
}

pub(crate) fn check_cache_user(user: &str) -> Result<(), Error> {
    CACHE_USER.check(user)
}

/// Databases allow almost any user name; only an empty one is invalid.
pub(crate) fn check_database_user(user: &str) -> Result<(), Error> {
    match user {
        "" => Err(Error::new(ErrorKind::InvalidUser, "user is empty: give the name to log in with")),
        _ => Ok(()),
    }
}

impl Rule {
    fn check(&self, name: &str) -> Result<(), Error> {
        if self.is_kept_by(name) {
            return Ok(());
        }
        Err(Error::new(self.kind, format!("{} {}", self.what, self.fault(name))))
    }

    fn is_kept_by(&self, name: &str) -> bool {
        (1..=self.max).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || self.others.contains(c))
            && name
                .starts_with(|c: char| c.is_ascii_alphabetic() || !self.first_is_letter && c.is_ascii_digit())
            && !(self.single_hyphens && (name.ends_with('-') || name.contains("--")))
    }

    /// Describes the violation. Text with characters outside a host name may hold a secret, so it
    /// is not repeated.
    fn fault(&self, name: &str) -> String {
        if name.is_empty() {
            return format!("is empty: give its name, {}", self.expected);
        }
        if self.kind != ErrorKind::InvalidUser {
            if name.starts_with("arn:") {
                return "is given as an ARN: give the name at its end".to_owned();
            }
            if name.contains("://") || name.contains('.') {
                return match name_in_endpoint(name) {
                    Some(name) => format!("is given as an endpoint: give its name, such as {}", shown(name)),
                    None => "is given as an endpoint: give its name".to_owned(),
                };
            }
        }
        match name.chars().all(is_name_character) {
            true => format!("{} is malformed: use {}", shown(name), self.expected),
            false => format!("is malformed: use {}", self.expected),
        }
    }
}

/// Returns the name of a cache or cluster in its endpoint, where the form of the endpoint tells.
///
/// Source: "Finding connection endpoints" of the guides of ElastiCache and MemoryDB.
fn name_in_endpoint(endpoint: &str) -> Option<&str> {
    let host = endpoint.split_once(':').map_or(endpoint, |(host, _)| host);
    if !host.chars().all(is_name_character) {
        return None;
    }
    let mut labels = host.split('.');
    let (first, second, third) = (labels.next()?, labels.next()?, labels.next()?);
    let name = match (first, second, third) {
        ("clustercfg" | "master" | "replica", name, _) => name,
        // Serverless caches append a hyphen and an id of their own to the name.
        (name, "serverless", _) => name.rsplit_once('-')?.0,
        // Without TLS: `name.id.clustercfg.…` with cluster mode, `name.id.ng.…` else.
        (name, _, "clustercfg" | "ng") => name,
        _ => return None,
    };
    CACHE.is_kept_by(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(rule: &Rule, name: &str) -> String {
        let error = rule.check(name).unwrap_err();
        assert_eq!(error.kind(), rule.kind);
        error.to_string()
    }

    #[test]
    fn names_by_the_rules_are_accepted() {
        for name in ["a", "my-cache", "My-Cache-01", &"a".repeat(40)] {
            check_cache(name).unwrap();
            check_cluster(name).unwrap();
        }
        for user in ["iam-user-01", "jane", "Jane", "a--b-", &"u".repeat(120)] {
            check_cache_user(user).unwrap();
        }
        for cluster in
            ["my-cluster", "Prod_1", "1a", "0c2d6e7a-5e5c-4a56-9f6e-a2a9a0d1a3cb", &"c".repeat(100)]
        {
            check_eks_cluster(cluster).unwrap();
        }
    }

    #[test]
    fn names_against_the_rules_are_refused_with_the_rule() {
        for name in ["1cache", "-cache", "cache-", "my--cache", "my_cache", &"a".repeat(41)] {
            assert_eq!(
                refused(&CACHE, name),
                format!(
                    "cache \"{name}\" is malformed: use 1 to 40 letters, digits and single hyphens, a \
                     letter first"
                )
            );
            refused(&CLUSTER, name);
        }
        for user in ["1jane", "-jane", "jane_doe", "jane.doe", &"u".repeat(121)] {
            assert!(
                refused(&CACHE_USER, user).ends_with("1 to 120 letters, digits and hyphens, a letter first")
            );
        }
        for cluster in ["-a", "_a", &"c".repeat(101)] {
            assert!(refused(&EKS_CLUSTER, cluster).contains("1 to 100 letters"));
        }
    }

    #[test]
    fn empty_name_is_refused_with_the_rule() {
        for (rule, what) in
            [(&CACHE, "cache"), (&CLUSTER, "cluster"), (&CACHE_USER, "user"), (&EKS_CLUSTER, "cluster")]
        {
            assert_eq!(refused(rule, ""), format!("{what} is empty: give its name, {}", rule.expected));
        }
    }

    #[test]
    fn endpoint_is_refused_with_the_name_in_it() {
        for endpoint in [
            "master.my-cache.abc123.use1.cache.amazonaws.com",
            "replica.my-cache.abc123.use1.cache.amazonaws.com",
            "clustercfg.my-cache.abc123.memorydb.us-east-1.amazonaws.com",
            "my-cache.abc123.ng.0001.use1.cache.amazonaws.com:6379",
            "my-cache.abc123.clustercfg.use1.cache.amazonaws.com",
            "my-cache-abc123.serverless.use1.cache.amazonaws.com",
        ] {
            let hint = "is given as an endpoint: give its name, such as \"my-cache\"";
            assert_eq!(refused(&CACHE, endpoint), format!("cache {hint}"));
            assert_eq!(refused(&CLUSTER, endpoint), format!("cluster {hint}"));
        }
    }

    #[test]
    fn endpoint_that_does_not_tell_the_name_is_refused_with_a_hint() {
        for endpoint in [
            "my-cache-001.abc123.0001.use1.cache.amazonaws.com",
            "https://0123ABCD.gr7.us-west-2.eks.amazonaws.com",
            "rediss://jane:hunter2@master.my-cache.abc123.use1.cache.amazonaws.com:6379",
            "my-cache.example",
        ] {
            for rule in [&CACHE, &CLUSTER, &EKS_CLUSTER] {
                assert_eq!(
                    refused(rule, endpoint),
                    format!("{} is given as an endpoint: give its name", rule.what)
                );
            }
        }
    }

    #[test]
    fn arn_is_refused_with_a_hint() {
        let arn = "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:my-cache";
        assert_eq!(refused(&CACHE, arn), "cache is given as an ARN: give the name at its end");
        refused(&EKS_CLUSTER, "arn:aws:eks:us-west-2:123456789012:cluster/my-cluster");
    }

    #[test]
    fn malformed_name_is_not_repeated() {
        for text in ["jane:hunter2", "my cache hunter2", "hunter2\n", "hünter2", "hunter2@cache"] {
            for rule in [&CACHE, &CLUSTER, &CACHE_USER, &EKS_CLUSTER] {
                let message = refused(rule, text);
                assert!(!message.contains("nter2"), "{message}");
            }
        }
    }

    #[test]
    fn database_user_is_any_text() {
        for user in ["jane", "a&DBUser=root", " ", "名前"] {
            check_database_user(user).unwrap();
        }
        assert_eq!(check_database_user("").unwrap_err().kind(), ErrorKind::InvalidUser);
    }
}

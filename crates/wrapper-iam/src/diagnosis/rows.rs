//! The table of causes.

use host_pattern::{Endpoint, EndpointKind};
use wrapper_core::Engine;

use super::{
    Asked, CauseRow, Facts,
    Likelihood::{self, Certain, Likely, Possible},
    NEAR_END, log_group,
};

/// The remedy for throttling.
const WAIT: &str = "wait, and use a pool";

/// The causes. Equally likely ones keep the order of the table.
pub static RANKING: &[CauseRow] = &[
    // Facts that were found to be wrong.
    CauseRow {
        code: "signature-expired",
        when: |facts| certain(facts.answer.to_lowercase().contains("signature expired")),
        sentence: |_| "the server says that the token's signature has expired".to_owned(),
        remedy: |_| "synchronize this machine's clock with NTP: a token lives for 15 minutes".to_owned(),
    },
    CauseRow {
        code: "region",
        when: |facts| token(facts, certain(facts.named_region().is_some())),
        sentence: |facts| {
            let named = facts.named_region().unwrap_or_default();
            format!("`iamRegion` is {} but the host is in {named}", facts.target.region())
        },
        remedy: |_| "leave `iamRegion` out".to_owned(),
    },
    CauseRow {
        code: "region",
        when: |facts| token(facts, certain(writer_region(facts).is_some())),
        sentence: |facts| {
            let writer = writer_region(facts).unwrap_or_default();
            format!("the writer is in {writer}, but the token is signed for {}", facts.target.region())
        },
        remedy: |facts| format!("set iamRegion={}", writer_region(facts).unwrap_or_default()),
    },
    CauseRow {
        code: "host-name",
        when: |facts| token(facts, certain(facts.leads_to.is_some() && !is_global(facts))),
        sentence: |facts| {
            let (signed, host) = (facts.target.host(), facts.dialled.0);
            let behind = facts.leads_to.as_ref().map_or("", Endpoint::as_str);
            format!("the token is signed for `{signed}`, but `{host}` leads to `{behind}`")
        },
        remedy: |facts| {
            let behind = facts.leads_to.as_ref().map_or("", Endpoint::as_str);
            format!("set iamHost={behind}, or fix the alias")
        },
    },
    CauseRow {
        code: "host-name",
        when: |facts| {
            let differs = |dialled: Endpoint| dialled.as_str() != facts.target.host();
            token(facts, certain(facts.dialled_endpoint().is_some_and(differs)))
        },
        sentence: |facts| {
            format!(
                "the token is signed for `{}`, but the connection goes to `{}`",
                facts.target.host(),
                facts.dialled.0
            )
        },
        remedy: |_| "leave `iamHost` out".to_owned(),
    },
    CauseRow {
        code: "signed-port",
        when: |facts| {
            let differs = facts.target.port() != facts.dialled.1 && !facts.is_dsql();
            token(facts, certain(differs && facts.dialled_endpoint().is_some()))
        },
        sentence: |facts| {
            let (signed, dialled) = (facts.target.port(), facts.dialled.1);
            format!("the token is signed for port {signed}, but the server listens on {dialled}")
        },
        remedy: |_| "leave `iamDefaultPort` out".to_owned(),
    },
    CauseRow {
        code: "clock-off",
        when: |facts| token(facts, certain(facts.is_clock_off())),
        sentence: |facts| {
            let ahead = facts.clock_ahead.unwrap_or_default();
            let side = if ahead < 0 { "behind" } else { "ahead" };
            format!("this machine's clock is {} min {side}", ahead.unsigned_abs() / 60)
        },
        remedy: |_| "synchronize it with NTP".to_owned(),
    },
    CauseRow {
        code: "credentials-expired",
        when: |facts| token(facts, certain(facts.credentials_left.is_some_and(|left| left < NEAR_END))),
        sentence: |_| "the AWS credentials have expired or are about to".to_owned(),
        remedy: |_| "renew the session".to_owned(),
    },
    CauseRow {
        code: "grant-missing",
        when: |facts| certain(facts.asked == Asked::Password),
        sentence: |facts| {
            match facts.engine {
                Engine::Postgres => {
                    "the server asked for a password instead of a token, so the user lacks the role rds_iam"
                }
                _ => "the server asked for a password instead of a token",
            }
            .to_owned()
        },
        remedy: grant,
    },
    CauseRow {
        code: "no-such-user",
        when: |facts| likely(facts.asked == Asked::Password),
        sentence: |facts| format!("there may be no user {}", facts.sql_user()),
        remedy: |facts| {
            match facts.engine {
                Engine::Mysql => "check its spelling, its case and its host part",
                _ => "check its spelling and case",
            }
            .to_owned()
        },
    },
    CauseRow {
        code: "iam-disabled",
        when: |facts| possible(facts.asked == Asked::Password),
        sentence: |_| "IAM authentication may be off for this instance, cluster or proxy".to_owned(),
        remedy: |_| "enable it".to_owned(),
    },
    // Changes since the last accepted login.
    CauseRow {
        code: "throttled",
        when: |facts| token(facts, likely(facts.recently_accepted.is_some() && facts.has_many_logins)),
        sentence: |facts| {
            let ago = facts.recently_accepted.unwrap_or_default().as_secs();
            format!(
                "throttling, because a server accepted this token {ago} s ago and many logins are under \
                 way: RDS accepts about 200 IAM logins a second"
            )
        },
        remedy: |_| WAIT.to_owned(),
    },
    CauseRow {
        code: "policy",
        when: |facts| token(facts, likely(facts.recently_accepted.is_some())),
        sentence: |facts| format!("perhaps the IAM policy of {} has changed", facts.who()),
        remedy: |facts| format!("allow {}", facts.permission()),
    },
    CauseRow {
        code: "credentials-refused",
        when: |facts| token(facts, likely(facts.recently_accepted.is_some() && facts.identity.is_none())),
        sentence: |facts| {
            format!("perhaps access key {} was revoked or deactivated, or its session ended", facts.key())
        },
        remedy: |_| "run `rds-iam doctor --sts` to see whether AWS still accepts it".to_owned(),
    },
    CauseRow {
        code: "throttled",
        when: |facts| token(facts, likely(facts.recently_accepted.is_some())),
        sentence: |_| {
            "perhaps throttling: RDS accepts about 200 IAM logins a second, including other programs'"
                .to_owned()
        },
        remedy: |_| WAIT.to_owned(),
    },
    CauseRow {
        code: "key-replaced",
        when: |facts| token(facts, likely(facts.key_was_replaced)),
        sentence: |facts| {
            format!("the access key was replaced, but a token of {} was refused too", facts.key())
        },
        remedy: |_| "check that the new key belongs to the same identity and account".to_owned(),
    },
    // The usual reasons of a refusal.
    CauseRow {
        code: "grant-missing",
        when: |facts| token(facts, likely(facts.asked == Asked::Unknown && !facts.is_dsql())),
        sentence: |facts| {
            match facts.engine {
                Engine::Mysql => "the user may not be identified with AWSAuthenticationPlugin",
                _ => "the user may lack the role rds_iam",
            }
            .to_owned()
        },
        remedy: grant,
    },
    CauseRow {
        code: "grant-missing",
        when: |facts| token(facts, likely(facts.is_dsql() && facts.target.user() != "admin")),
        sentence: |_| "the database role may not be granted to the IAM role".to_owned(),
        remedy: |facts| {
            let to = facts.identity.map_or("arn:aws:iam::ACCOUNT:role/ROLE", |(arn, _)| arn);
            format!("as admin AWS IAM GRANT {} TO '{to}'", facts.sql_user())
        },
    },
    CauseRow {
        code: "policy",
        when: |facts| token(facts, Some(Likely)),
        sentence: |facts| format!("perhaps no IAM policy allows {} to log in", facts.who()),
        remedy: |facts| format!("allow {}", facts.permission()),
    },
    CauseRow {
        code: "proxy-role",
        when: |facts| token(facts, likely(facts.is_proxy())),
        sentence: |_| "the proxy's own role may not log in to the database".to_owned(),
        remedy: |facts| {
            format!(
                "allow that role secretsmanager:GetSecretValue on the secret of {} or, where the proxy uses \
                 IAM, rds-db:connect",
                facts.sql_user()
            )
        },
    },
    CauseRow {
        code: "credentials-refused",
        when: |facts| token(facts, likely(facts.has_unknown_end && facts.identity.is_none())),
        sentence: |facts| {
            format!(
                "the credentials of access key {} may have expired, or belong to another account",
                facts.key()
            )
        },
        remedy: |_| "renew the session".to_owned(),
    },
    // Possible reasons without evidence for or against.
    CauseRow {
        code: "region",
        when: |facts| token(facts, possible(is_global(facts))),
        sentence: |facts| format!("{} may not be where the writer is now", facts.target.region()),
        remedy: |_| "check `iamRegion`".to_owned(),
    },
    CauseRow {
        code: "signed-port",
        when: |facts| {
            let is_same = facts.target.port() == facts.dialled.1 && !facts.is_dsql();
            token(facts, possible(is_same && facts.dialled_endpoint().is_none()))
        },
        sentence: |facts| format!("the database may listen on another port than {}", facts.dialled.1),
        remedy: |_| "set `iamDefaultPort` to that port".to_owned(),
    },
    CauseRow {
        code: "host-name",
        when: |facts| token(facts, possible(facts.dialled_endpoint().is_none())),
        sentence: |facts| {
            let (host, port) = facts.dialled;
            format!("`{host}:{port}` may lead to another database than `{}`", facts.target.host())
        },
        remedy: |_| "check the tunnel or the alias, and `iamHost`".to_owned(),
    },
    CauseRow {
        code: "clock-off",
        when: |facts| token(facts, possible(facts.clock_ahead.is_none())),
        sentence: |_| "this machine's clock may be off by minutes, which was not checked".to_owned(),
        remedy: |_| "compare it with an NTP server".to_owned(),
    },
    CauseRow {
        code: "resource-id",
        when: |facts| token(facts, possible(!facts.is_dsql())),
        sentence: |_| "the policy may name the resource id of another database".to_owned(),
        remedy: |_| {
            "compare it: replicas, restored and blue/green copies and proxies each have their own".to_owned()
        },
    },
    CauseRow {
        code: "credentials-refused",
        when: |facts| token(facts, Some(Possible)),
        sentence: |facts| match facts.identity {
            Some((_, account)) => format!("the credentials belong to account {account}"),
            None => {
                format!(
                    "the credentials of access key {} may be revoked or belong to another account",
                    facts.key()
                )
            }
        },
        remedy: |facts| {
            match facts.identity {
                Some(_) => "check that the database belongs to it too",
                None => "run `rds-iam doctor --sts` to see their account",
            }
            .to_owned()
        },
    },
    CauseRow {
        code: "throttled",
        when: |facts| token(facts, Some(Possible)),
        sentence: |_| "throttling: RDS accepts about 200 IAM logins a second and refuses the rest".to_owned(),
        remedy: |_| WAIT.to_owned(),
    },
    CauseRow {
        code: "log",
        when: |facts| possible(facts.reached_endpoint().as_ref().and_then(log_group).is_some()),
        sentence: |_| "only the server's log names the reason".to_owned(),
        remedy: |facts| {
            let log = facts.reached_endpoint().as_ref().and_then(log_group).unwrap_or_default();
            format!("read {log}")
        },
    },
];

/// Keeps the cause only if the server may have checked a token: where it asked for a password, no
/// token helps.
fn token(facts: &Facts<'_>, likelihood: Option<Likelihood>) -> Option<Likelihood> {
    likelihood.filter(|_| facts.asked != Asked::Password)
}

fn certain(applies: bool) -> Option<Likelihood> {
    applies.then_some(Certain)
}

fn likely(applies: bool) -> Option<Likelihood> {
    applies.then_some(Likely)
}

fn possible(applies: bool) -> Option<Likelihood> {
    applies.then_some(Possible)
}

fn is_global(facts: &Facts<'_>) -> bool {
    facts.kind() == Some(EndpointKind::GlobalWriter)
}

/// Returns the region of a global database's writer by DNS, if the token is signed for another one.
fn writer_region(facts: &Facts<'_>) -> Option<String> {
    let region = facts.leads_to.as_ref().filter(|_| is_global(facts))?.region()?;
    (region != facts.target.region()).then(|| region.to_owned())
}

fn grant(facts: &Facts<'_>) -> String {
    let user = facts.sql_user();
    match facts.engine {
        Engine::Mysql => format!(
            "ALTER USER {user} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS', which disables its password \
             login"
        ),
        _ => format!("GRANT rds_iam TO {user}, which disables its password login"),
    }
}

//! Errors of failed loads, with their remedies.

use std::{error::Error as StdError, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::{
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use token_cache::FetchError;
use wrapper_core::{Cause, Error, ErrorKind, events::CredentialsFailure, text::sanitize_server_text};
use wrapper_iam::connect_error;

use crate::secret_id::SecretId;

const FAILED: ErrorKind = ErrorKind::Credentials(CredentialsFailure::Failed);

/// Error codes for the access key or the signature of a call.
const OF_KEY: [&str; 7] = [
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Returns whether another access key may succeed.
pub(crate) fn is_of_key(error: &SdkError<GetSecretValueError>) -> bool {
    error.code().is_some_and(|code| OF_KEY.contains(&code))
}

/// Returns the error of a load without credentials.
pub(crate) fn credentials(error: &CredentialsError) -> Error {
    match ours(error) {
        Some(ours) => connect_error(ours),
        None => Error::new(FAILED, "missing AWS credentials for Secrets Manager: check their source"),
    }
}

fn ours<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a iam_token_provider::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref() {
            return Some(ours);
        }
        next = error.source();
    }
    None
}

/// Returns the error of a call. What the SDK keeps of an answer is left behind, as it may hold the
/// secret.
pub(crate) fn of(id: &SecretId, error: SdkError<GetSecretValueError>) -> Error {
    if let Some(ours) = ours(&error) {
        return connect_error(ours);
    }
    match &error {
        SdkError::ServiceError(_) => {
            let text = error.message().unwrap_or_default();
            answered(id, error.code().unwrap_or_default(), text)
        }
        SdkError::TimeoutError(_) => unreachable_in(id, CredentialsFailure::TimedOut),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            unreachable_in(id, CredentialsFailure::TimedOut)
        }
        SdkError::DispatchFailure(_) => {
            let unreachable = unreachable_in(id, CredentialsFailure::Failed);
            match error.into_source() {
                Ok(source) => unreachable.with_source(source),
                Err(_) => unreachable,
            }
        }
        SdkError::ResponseError(_) => Error::new(
            FAILED,
            format!(
                "malformed response of Secrets Manager in {}: check `secretEndpoint` and \
                 proxies",
                id.region()
            ),
        ),
        _ => {
            Error::new(FAILED, format!("failed to build the request for secret {id}: check `secretEndpoint`"))
        }
    }
}

fn unreachable_in(id: &SecretId, failure: CredentialsFailure) -> Error {
    let region = id.region();
    let message = match failure {
        CredentialsFailure::TimedOut => format!("Secrets Manager in {region} did not answer in time"),
        _ => format!("Secrets Manager in {region} cannot be reached"),
    };
    let remedy = format!(
        "add a route, or a VPC endpoint com.amazonaws.{region}.secretsmanager, by `secretEndpoint` where \
         that has no private DNS"
    );
    let cause = Cause::new("secret-network", "this machine cannot reach the service", &remedy);
    Error::new(ErrorKind::Credentials(failure), message).with_diagnosis([cause])
}

/// Converts an error of the cell.
pub(crate) fn of_fetch(id: &SecretId, error: FetchError<Error>) -> Error {
    match error {
        FetchError::Failed(error) => error,
        FetchError::TimedOut(_) => unreachable_in(id, CredentialsFailure::TimedOut),
        FetchError::NoTimer => Error::new(
            ErrorKind::Configuration,
            "a secret needs a tokio runtime with time and I/O enabled: build it with enable_all",
        ),
        FetchError::Panicked => Error::new(
            FAILED,
            format!(
                "the load of secret {id} panicked, as the AWS SDK does where a machine trusts no \
                 certificate authority or a runtime lacks I/O: install ca-certificates, and build the \
                 runtime with enable_all"
            ),
        ),
        error => Error::new(FAILED, format!("secret {id} could not be renewed")).with_source(error),
    }
}

/// Reads an answer of the service, by its code and text.
fn answered(id: &SecretId, code: &str, text: &str) -> Error {
    let row = ROWS.iter().find(|row| row.codes.contains(&code) && text.to_lowercase().contains(row.text));
    let Some(row) = row else {
        let message = format!("Secrets Manager refused to give secret {id}");
        return Error::new(FAILED, message).with_source(Answer::new(code, text));
    };
    let remedy = (row.remedy)(id);
    Error::new(row.kind, format!("{}: secret {id} in {}", row.message, id.region()))
        .with_source(Answer::new(code, text))
        .with_diagnosis([Cause::new(row.cause, row.sentence, &remedy)])
}

/// One answer of the service.
struct Row {
    codes: &'static [&'static str],
    /// A fragment of the text in lower case; empty matches any text.
    text: &'static str,
    kind: ErrorKind,
    message: &'static str,
    cause: &'static str,
    sentence: &'static str,
    remedy: fn(&SecretId) -> String,
}

/// The answers, the special ones before the general:
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>.
const ROWS: &[Row] = &[
    Row {
        codes: &["ResourceNotFoundException"],
        text: "staging label",
        kind: FAILED,
        message: "no current version",
        cause: "secret-version",
        sentence: "no value was stored yet, or the first rotation did not finish",
        remedy: |id| format!("store one: aws secretsmanager put-secret-value --secret-id {}", id.as_str()),
    },
    Row {
        codes: &["ResourceNotFoundException"],
        text: "",
        kind: ErrorKind::Credentials(CredentialsFailure::NotConfigured),
        message: "no such secret",
        cause: "secret-missing",
        sentence: "`secretId` or `secretRegion` is wrong",
        remedy: |id| {
            format!(
                "look for it: aws secretsmanager describe-secret --region {} --secret-id {}; one of another \
                 account needs its whole ARN",
                id.region(),
                id.as_str()
            )
        },
    },
    Row {
        codes: &["AccessDeniedException"],
        text: "kms",
        kind: FAILED,
        message: "no permission to decrypt",
        cause: "secret-kms",
        sentence: "these credentials may not use the KMS key that encrypts the secret",
        remedy: |id| {
            format!(
                "add to their policy, and allow them in the key's own, with the key's ARN: \
                 {{\"Effect\":\"Allow\",\"Action\":\"kms:Decrypt\",\"Resource\":\"arn:{}:kms:{}:*:key/*\"}}",
                id.region().partition(),
                id.region()
            )
        },
    },
    Row {
        codes: &["AccessDeniedException", "AccessDenied"],
        text: "",
        kind: FAILED,
        message: "no permission to read",
        cause: "secret-policy",
        sentence: "the policy of these credentials does not allow secretsmanager:GetSecretValue on the \
                   secret",
        remedy: |id| {
            format!(
                "add to it \
                 {{\"Effect\":\"Allow\",\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\"{}\"}}, \
                 and check that the policies of the secret, a VPC endpoint and the organization allow it",
                id.resource()
            )
        },
    },
    Row {
        codes: &["DecryptionFailure", "DecryptionFailureException"],
        text: "",
        kind: FAILED,
        message: "cannot be decrypted",
        cause: "secret-kms",
        sentence: "the KMS key that encrypts the secret is disabled or pending deletion",
        remedy: |id| {
            format!(
                "enable it; its id is shown by aws secretsmanager describe-secret --secret-id {}",
                id.as_str()
            )
        },
    },
    Row {
        codes: &["InvalidRequestException"],
        text: "delet",
        kind: FAILED,
        message: "marked for deletion",
        cause: "secret-deleted",
        sentence: "the secret was deleted and is in its recovery window",
        remedy: |id| format!("restore it: aws secretsmanager restore-secret --secret-id {}", id.as_str()),
    },
    Row {
        codes: &[
            "LimitExceededException",
            "RequestLimitExceeded",
            "ThrottlingException",
            "TooManyRequestsException",
        ],
        text: "",
        kind: ErrorKind::Throttled,
        message: "Secrets Manager throttles calls",
        cause: "secret-throttled",
        sentence: "the account calls Secrets Manager more often than its quota allows",
        remedy: |_| {
            "share one `SecretProvider` among connectors, raise `secretExpirationSec`, or ask for a higher \
             quota"
                .to_owned()
        },
    },
    Row {
        codes: &[
            "InternalFailure",
            "InternalServiceError",
            "InternalServiceErrorException",
            "ServiceUnavailable",
        ],
        text: "",
        kind: ErrorKind::Transient,
        message: "Secrets Manager failed",
        cause: "secret-service",
        sentence: "the service had an internal error",
        remedy: |_| "try again; the AWS Health Dashboard lists longer outages".to_owned(),
    },
    Row {
        codes: &["ExpiredTokenException"],
        text: "",
        kind: ErrorKind::Credentials(CredentialsFailure::Expired),
        message: "expired AWS credentials",
        cause: "secret-credentials",
        sentence: "the session of these credentials has expired",
        remedy: |_| "log in again, or renew the session".to_owned(),
    },
    Row {
        codes: &OF_KEY,
        text: "",
        kind: FAILED,
        message: "refused AWS credentials",
        cause: "secret-credentials",
        sentence: "the access key is unknown or revoked, its secret key is wrong, or this machine's clock is \
                   off",
        remedy: |_| {
            "check `aws sts get-caller-identity` with the same credentials, and set the clock by NTP"
                .to_owned()
        },
    },
    Row {
        codes: &["InvalidParameterException", "ValidationException"],
        text: "",
        kind: ErrorKind::Configuration,
        message: "invalid secret name",
        cause: "secret-id",
        sentence: "`secretId` is neither a valid name nor a valid ARN",
        remedy: |_| "copy it from aws secretsmanager list-secrets".to_owned(),
    },
];

/// The service's own text, sanitized.
#[derive(Debug)]
struct Answer(String);

impl Answer {
    fn new(code: &str, text: &str) -> Self {
        Self(sanitize_server_text(&format!("{code}: {text}"), []))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Answer {}

#[cfg(test)]
mod tests {
    use host_pattern::Region;

    use super::*;

    /// One row: what the service answers, and kind and parts of the error.
    macro_rules! answers {
        ($($name:ident: $code:expr, $text:expr => $kind:expr, $($part:expr),+;)*) => {$(
            #[test]
            fn $name() {
                let id = SecretId::parse("prod/app", Region::parse("us-east-2").ok()).expect("an id");
                let error = answered(&id, $code, $text);
                assert_eq!(error.kind(), $kind);
                let text = format!("{error} {error:#}");
                for part in [$($part),+, "`prod/app`", $code] {
                    assert!(text.contains(part), "{text} should say {part}");
                }
            }
        )*};
    }

    answers! {
        secret_missing: "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
            => ErrorKind::Credentials(CredentialsFailure::NotConfigured), "no such secret", "`secretRegion`",
                "whole ARN";
        version_missing: "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
            => FAILED, "no current version", "put-secret-value --secret-id prod/app";
        permission_missing: "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/jane is not authorized to perform: \
             secretsmanager:GetSecretValue"
            => FAILED, "no permission to read",
            "{\"Effect\":\"Allow\",\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\"arn:aws:secretsmanager:us-east-2:*:secret:prod/app-??????\"}";
        permission_of_the_key_missing: "AccessDeniedException", "Access to KMS is not allowed"
            => FAILED, "no permission to decrypt",
            "{\"Effect\":\"Allow\",\"Action\":\"kms:Decrypt\",\"Resource\":\"arn:aws:kms:us-east-2:*:key/*\"}";
        key_disabled_wrong: "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text"
            => FAILED, "cannot be decrypted", "pending deletion";
        secret_deleted_wrong: "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion."
            => FAILED, "marked for deletion", "restore-secret --secret-id prod/app";
        service_throttles_wrong: "ThrottlingException", "Rate exceeded"
            => ErrorKind::Throttled, "throttles calls", "quota", "`SecretProvider`";
        service_failed_wrong: "InternalServiceError", "An error occurred on the server side."
            => ErrorKind::Transient, "Secrets Manager failed";
        session_expired_wrong: "ExpiredTokenException", "The security token included in the request is \
                                                         expired"
            => ErrorKind::Credentials(CredentialsFailure::Expired), "log in again";
        key_revoked_wrong: "UnrecognizedClientException", "The security token included in the request is \
                                                           invalid."
            => FAILED, "refused AWS credentials", "get-caller-identity", "NTP";
        clock_off_wrong: "InvalidSignatureException", "Signature expired: 20261127T000000Z is now earlier \
                                                       than"
            => FAILED, "clock";
        name_wrong: "InvalidParameterException", "Invalid name"
            => ErrorKind::Configuration, "neither a valid name nor";
        answer_of_tomorrow_wrong: "BrandNewException", "never\nheard of"
            => FAILED, "refused to give secret", "never\\nheard of";
    }

    #[test]
    fn throttled_and_failed_service_may_be_asked_again() {
        let id = SecretId::parse("prod/app", Region::parse("us-east-2").ok()).expect("an id");
        assert!(answered(&id, "ThrottlingException", "").is_throttled());
        assert!(answered(&id, "InternalServiceError", "").is_transient());
        assert!(of_fetch(&id, FetchError::TimedOut(std::time::Duration::from_secs(10))).is_transient());
        assert!(!answered(&id, "AccessDeniedException", "").is_transient());
    }
}

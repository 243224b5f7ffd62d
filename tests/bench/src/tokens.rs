//! One RDS token, by this workspace and by others.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_rds::auth_token::{self, AuthTokenGenerator, Config};
use aws_sigv4::{
    http_request::{
        SignableBody, SignableRequest, SignatureLocation, SigningInstructions, SigningSettings, sign,
    },
    sign::v4::SigningParams,
};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_types::{SdkConfig, region::Region};
use iam_token::{Presign, Signer, rds};

use crate::{
    Result, foreign,
    report::{Report, Section, Table},
    timing::{Case, Figure, measure},
};

pub(crate) const HOST: &str = "database-1.cluster-abcdefghijkl.us-east-2.rds.amazonaws.com";
pub(crate) const PORT: u16 = 5432;
pub(crate) const USER: &str = "jane_doe";
pub(crate) const REGION: &str = "us-east-2";

/// A session token of 950 characters, of which 82 are escaped.
pub(crate) fn session_token() -> String {
    "IQoJb3JpZ2luX2VjEXAMP/+".chars().cycle().take(950).collect()
}

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let (without, with) = (ways(None), ways(Some(session_token())));
    let ([ours, built, .., sdk], [ours_with, built_with, .., sdk_with]) = (&without, &with);
    let mut section = Section::new("One RDS token");
    let mut table = Table::new(["by", "no session", "ratio", "950 characters", "ratio"]);
    let mut row = |name: &str, one: f64, other: f64| {
        table.row([
            name.to_owned(),
            format!("{one:.0} ns"),
            format!("{:.1}", one / ours.nanos),
            format!("{other:.0} ns"),
            format!("{:.1}", other / ours_with.nanos),
        ]);
    };
    for (one, other) in without.iter().zip(&with) {
        row(one.name, one.nanos, other.nanos);
    }
    let mut skipped = Vec::new();
    for (name, outcome) in foreign::run() {
        match outcome {
            Ok([one, other]) => row(name, one, other),
            Err(why) => skipped.push(format!("skipped: {name}: {why}")),
        }
    }
    section.table(&table);
    for why in skipped {
        section.text(&why);
    }
    section.target("aws-sdk-rds, times all kept, no session", sdk.nanos / ours.nanos, 8.5..);
    section.target("aws-sdk-rds, times all kept, 950 characters", sdk_with.nanos / ours_with.nanos, 7.0..);
    section.target("aws-sdk-rds, times a new recipe, no session", sdk.nanos / built.nanos, 2.5..);
    section.target("the same, 950 characters", sdk_with.nanos / built_with.nanos, 2.5..);
    report.add(section)
}

/// Measures the ways to a token: three of ours, then the peers.
fn ways(session: Option<String>) -> [Figure; 5] {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_736_944_496);
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", session, None, "bench");
    let signer = Signer::new(credentials.clone());
    let request = || rds(black_box(HOST), PORT, black_box(USER)).region(REGION).build().expect("a good name");
    let kept = request();
    let signed =
        |request: &Presign| black_box(request).sign_with(black_box(&signer), now).expect("a good request");
    let from_nothing = || request().sign(black_box(&credentials), now).expect("a good request");

    let identity: Identity = credentials.clone().into();
    let sdk = Sdk::new(&credentials, now);

    agree(signed(&kept).expose(), sdk.token().as_str());
    agree(signed(&kept).expose(), from_nothing().expose());
    measure([
        Case::new("iam-token, request and key kept", || signed(&kept)),
        Case::new("iam-token, a new recipe, key kept", || signed(&request())),
        Case::new("iam-token, a new recipe, nothing kept", from_nothing),
        Case::new("aws-sigv4, signature only", || sigv4(black_box(&identity), now)),
        Case::new("aws-sdk-rds", || sdk.token()),
    ])
}

/// The work of a caller of `aws-sigv4`, up to the parameters that it would add to the URL.
fn sigv4(identity: &Identity, now: SystemTime) -> SigningInstructions {
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(Duration::from_secs(900));
    settings.signature_location = SignatureLocation::QueryParams;
    let parameters = SigningParams::builder()
        .identity(identity)
        .region(REGION)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()
        .expect("all is set")
        .into();
    let url = format!("https://{HOST}:{PORT}/?Action=connect&DBUser={USER}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::empty());
    let signed = sign(request.expect("a good URL"), &parameters).expect("good credentials");
    signed.into_parts().0
}

/// The SDK's generator, with all kept that can be.
struct Sdk {
    generator: AuthTokenGenerator,
    config: SdkConfig,
}

impl Sdk {
    fn new(credentials: &Credentials, now: SystemTime) -> Self {
        let config = Config::builder().hostname(HOST).port(u64::from(PORT)).username(USER).build();
        let sdk = SdkConfig::builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .region(Region::new(REGION))
            .time_source(StaticTimeSource::new(now));
        Self { generator: AuthTokenGenerator::new(config.expect("all is set")), config: sdk.build() }
    }

    /// Polls once, without a runtime's cost: fixed credentials are there at once.
    fn token(&self) -> auth_token::AuthToken {
        let token = pin!(self.generator.auth_token(black_box(&self.config)));
        match token.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(token) => token.expect("good credentials"),
            Poll::Pending => panic!("fixed credentials need no waiting"),
        }
    }
}

/// Panics unless both tokens hold the same parameters, in any order.
fn agree(one: &str, other: &str) {
    let parts = |token: &str| {
        let mut parts: Vec<String> = token.split(['?', '&']).map(str::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!(parts(one), parts(other), "only equal tokens may be compared by their cost");
}

//! What one token costs, without and with a session token.

#![expect(clippy::unwrap_used, reason = "the inputs are fixed")]

use std::{
    hint::black_box,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_credential_types::Credentials;
use criterion::{Criterion, criterion_group, criterion_main};
use iam_token::{Signer, eks, rds};

const HOST: &str = "database-1.cluster-abcdefghijkl.us-east-2.rds.amazonaws.com";
const REGION: &str = "us-east-2";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_736_944_496)
}

/// A session token of 950 characters, of which 82 are escaped.
fn session_token() -> String {
    "IQoJb3JpZ2luX2VjEXAMP/+".chars().cycle().take(950).collect()
}

fn sign(c: &mut Criterion) {
    let jane = rds(HOST, 5432, "jane_doe").region(REGION).build().unwrap();
    for (name, session) in [("no session", None), ("950-char session", Some(session_token()))] {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", session, None, "bench");
        let signer = Signer::new(credentials.clone());
        c.bench_function(&format!("rds/kept key/{name}"), |b| {
            b.iter(|| jane.sign_with(black_box(&signer), black_box(now())).unwrap());
        });
        c.bench_function(&format!("rds/derived key/{name}"), |b| {
            b.iter(|| jane.sign(black_box(&credentials), black_box(now())).unwrap());
        });
    }
    let signer = Signer::new(Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "bench"));
    c.bench_function("rds/recipe and kept key/no session", |b| {
        b.iter(|| {
            let recipe = rds(black_box(HOST), 5432, "jane_doe").region(REGION);
            recipe.build().unwrap().sign_with(&signer, now()).unwrap()
        });
    });
    let eks = eks("my-cluster", REGION).build().unwrap();
    c.bench_function("eks/kept key/no session", |b| {
        b.iter(|| eks.sign_with(black_box(&signer), black_box(now())).unwrap());
    });
}

criterion_group!(benches, sign);
criterion_main!(benches);

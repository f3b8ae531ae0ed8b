//! From bytes to a permit.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion};
use liaison::grpc::KnownRequest as _;
use liaison::policy::{Audience, RecipientSet, authorise, resolve};
use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE, pre_authentication_encoding};
use liaison_protocol::manifest::SignedManifest;
use liaison_protocol::part::Parts;
use liaison_protocol::proto::SubmitStreamRequest;
use liaison_protocol::signer::{Ed25519Signer, Signer as _};
use liaison_protocol::wire;

use crate::traffic::{self, ORIGINATORS};
use crate::world::START;

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submission");
    let world = traffic::world();
    let originator = ORIGINATORS[0];
    let notice = world.signed(traffic::draft(&world, originator, 1));
    let request = traffic::request(notice.clone());
    let caller = world.partner(originator);
    let envelope = Envelope::parse(notice.envelope.clone()).expect("made here");
    let message = pre_authentication_encoding(MANIFEST_TYPE, envelope.payload());
    let key = Ed25519Signer::from_seed(&[7; 32]);
    let signature = key.sign(&message).expect("a key in memory signs");

    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            wire::decode::<SubmitStreamRequest>(black_box(request.clone()), SubmitStreamRequest::SHAPE)
                .expect("a request")
        });
    });
    group.bench_function("parse the manifest", |bencher| {
        bencher.iter(|| SignedManifest::parse(black_box(notice.envelope.clone())).expect("a manifest"));
    });
    group.bench_function("verify by the library, strictly", |bencher| {
        bencher.iter(|| key.public().verify(black_box(&message), black_box(&signature)).expect("signed here"));
    });
    group.bench_function("parse and verify", |bencher| {
        bencher.iter(|| world.verified(black_box(&notice), originator));
    });
    let verified = world.verified(&notice, originator);
    group.bench_function("open the parts", |bencher| {
        bencher.iter_batched(
            || notice.parts.clone(),
            |parts| Parts::open(&verified.manifest().parts, parts).expect("they open"),
            BatchSize::SmallInput,
        );
    });
    let parts = Parts::open(&verified.manifest().parts, notice.parts.clone()).expect("they open");
    let resolved = || {
        let resolved = resolve(caller, verified.manifest(), &world.hub, &world.directory, START).expect("covered");
        Arc::new(Audience {
            set: Arc::new(RecipientSet::new([7; 32], resolved.members)),
            passed_over: resolved.passed_over,
            agreements: resolved.agreements,
        })
    };
    group.bench_function("resolve and salt an audience", |bencher| bencher.iter(|| resolved().set.root()));
    let audience = resolved();
    group.bench_function("authorise, the audience at hand", |bencher| {
        bencher.iter_batched(
            || (verified.clone(), parts.clone()),
            |(manifest, parts)| {
                authorise(caller, manifest, parts, &world.hub, &world.directory, |_| Ok(audience.clone()))
                    .expect("covered")
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

//! FAULTS 39 to 42: bytes that are not the message they should be.

use bytes::Bytes;
use liaison_client::sign::DraftPart;
use liaison_protocol::limits::{CONTENT_BYTES_MAX, ENVELOPE_BYTES_MAX, MANIFEST_BYTES_MAX};
use liaison_protocol::proto;
use prost::Message as _;
use tonic::Code;

use crate::support::*;

const SUBMIT: &str = "/liaison.v1.ExchangeService/Submit";
const ACKNOWLEDGE: &str = "/liaison.v1.ExchangeService/Acknowledge";

#[tokio::test]
async fn fault_39_what_is_malformed_is_refused_with_its_place() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let good = opened(&notice).payload.to_vec();
    let size = fr.log_size().await;

    // In what was signed:
    let end = good.len().to_string();
    let rows: [(Vec<u8>, &str, &str); 5] = [
        ([&good[..], &field(3, b"FR/2")].concat(), "Manifest.reference", &end),
        ([&good[..], &[4 << 3, 1]].concat(), "Manifest.kind", &end),
        (good[..good.len() - 1].to_vec(), "Manifest.parts", ""),
        ([&good[..], &field(4, b"x")].concat(), "Manifest.kind", ""),
        ([&good[..34], &field(3, b"FR/\xff")].concat(), "Manifest.reference", "36"),
    ];
    for (payload, path, offset) in rows {
        let refused = fr.raw.submit(sealed(payload, &fr.notice_key), notice.parts.clone()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::InvalidArgument, "MALFORMED"), "{refused:?}");
        assert_eq!(refused.metadata["field"], path, "{refused:?}");
        assert!(offset.is_empty() || refused.metadata["offset"] == offset, "{refused:?}");
    }

    // In the envelope around it, and in the request around that:
    let envelope = &notice.envelope;
    let requests: [Vec<u8>; 6] = [
        field(1, &envelope[..envelope.len() - 1]),
        field(1, &[&envelope[..], &field(1, &good)].concat()),
        field(1, b"not an envelope"),
        [field(1, envelope), field(1, envelope)].concat(),
        vec![1 << 3, 1],
        vec![0xff; 64],
    ];
    for request in requests {
        let refused = fr.raw.call(SUBMIT, request.into()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::InvalidArgument, "MALFORMED"), "{refused:?}");
    }
    assert_eq!(fr.log_size().await, size);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_40_neither_depth_nor_number_makes_a_node_work() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let size = fr.log_size().await;

    let groups: Vec<u8> = vec![15 << 3 | 3; 10_000];
    let million_parts: Vec<u8> = [2 << 3 | 2, 0].repeat(1_000_000);
    let million_items: Vec<u8> = million_parts.clone();
    let rows = [(SUBMIT, groups.clone()), (SUBMIT, million_parts), (ACKNOWLEDGE, million_items)];
    for (method, request) in rows {
        let refused = fr.raw.call(method, request.into()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::InvalidArgument, "MALFORMED"), "{refused:?}");
    }
    let in_the_manifest = [opened(&notice).payload.to_vec(), groups].concat();
    let many_parts = [opened(&notice).payload.to_vec(), [14 << 3 | 2, 0].repeat(30_000)].concat();
    for payload in [in_the_manifest, many_parts] {
        let refused = fr.raw.submit(sealed(payload, &fr.notice_key), notice.parts.clone()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::InvalidArgument, "MALFORMED"), "{refused:?}");
    }
    assert_eq!(fr.log_size().await, size);

    // Depth in what nobody knows is signed bytes like any other.
    let mut nested = Vec::new();
    while nested.len() < 40_000 {
        nested = field(15, &nested);
    }
    let payload = [opened(&notice).payload.to_vec(), nested].concat();
    fr.raw.submit(sealed(payload, &fr.notice_key), notice.parts).await.unwrap();
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_41_a_field_that_is_absent_unknown_or_could_forge_a_line_is_named() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let size = fr.log_size().await;
    type Change = fn(&mut proto::Manifest);
    let rows: [(&str, Change); 24] = [
        ("directory_version", |manifest| manifest.directory_version = 0),
        ("reference", |manifest| manifest.reference.clear()),
        ("reference", |manifest| manifest.reference = "FR/1\nFR/2".into()),
        ("reference", |manifest| manifest.reference = "FR/\0".into()),
        ("reference", |manifest| manifest.reference = "FR/\u{202e}1".into()),
        ("reference", |manifest| manifest.reference = "F".repeat(65)),
        ("kind", |manifest| manifest.kind = 0),
        ("kind", |manifest| manifest.kind = 999),
        ("kind", |manifest| manifest.kind = -1),
        ("originator", |manifest| manifest.originator.clear()),
        ("originator", |manifest| manifest.originator = "fr".into()),
        ("audience", |manifest| manifest.audience = None),
        ("audience.partners[0]", |manifest| manifest.audience.as_mut().unwrap().partners[0] = "KE\r".into()),
        ("handling.code", |manifest| manifest.handling = None),
        ("handling.tlp", |manifest| manifest.handling.as_mut().unwrap().tlp = 99),
        ("handling.restriction", |manifest| manifest.handling.as_mut().unwrap().restriction = "x".into()),
        ("handling.restriction", |manifest| {
            let handling = manifest.handling.as_mut().unwrap();
            (handling.code, handling.restriction) = (4, "not\u{2028}so".into());
        }),
        ("precedence", |manifest| manifest.precedence = 5),
        ("issued_at_us", |manifest| manifest.issued_at_us = 0),
        ("expires_at_us", |manifest| manifest.expires_at_us = manifest.issued_at_us),
        ("respond_by", |manifest| manifest.respond_by = 0),
        ("retention", |manifest| manifest.retention = 77),
        ("parts", |manifest| manifest.parts.clear()),
        ("parts[0].media_type", |manifest| manifest.parts[0].media_type = "text/plain\n".into()),
    ];
    for (path, change) in rows {
        let mut manifest = manifest(&notice);
        change(&mut manifest);
        let envelope = sealed(manifest.encode_to_vec(), &fr.notice_key);
        let refused = fr.raw.submit(envelope, notice.parts.clone()).await.unwrap_err();
        assert_eq!(
            (refused.code, &*refused.reason),
            (Code::InvalidArgument, "FIELD_INVALID"),
            "{path}: {refused:?}"
        );
        assert_eq!(refused.metadata["field"], path);
        assert!(!refused.message.chars().any(char::is_control), "{refused:?}");
    }

    // Without its network it is another network's.
    let strange = proto::Manifest { network: Bytes::from_static(&[7; 32]), ..manifest(&notice) };
    let absent = proto::Manifest { network: Bytes::new(), ..manifest(&notice) };
    for manifest in [strange, absent] {
        let envelope = sealed(manifest.encode_to_vec(), &fr.notice_key);
        fr.is_refused(&notice, envelope, Code::Unauthenticated, "OTHER_NETWORK").await;
    }
    assert_eq!(fr.log_size().await, size);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_42_what_is_larger_than_its_limit_by_one_byte_is_refused() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let size = fr.log_size().await;
    let notice = fr.notice("FR/1", &["KE"]);
    let good = opened(&notice).payload.to_vec();

    // A manifest of any size, by a field that nobody knows; its head has six bytes.
    let of_size = |bytes: usize| [good.clone(), field(9_999, &vec![0; bytes - good.len() - 6])].concat();
    assert_eq!(of_size(MANIFEST_BYTES_MAX + 1).len(), MANIFEST_BYTES_MAX + 1);
    let too_large = sealed(of_size(MANIFEST_BYTES_MAX + 1), &fr.notice_key);
    fr.is_refused(&notice, too_large, Code::ResourceExhausted, "TOO_LARGE").await;
    fr.is_refused(&notice, vec![0; ENVELOPE_BYTES_MAX + 1], Code::ResourceExhausted, "TOO_LARGE").await;

    let mut draft = fr.draft("FR/2", &["KE"]);
    let part = |bytes: usize| DraftPart { bytes: vec![7; bytes].into(), ..draft.parts[0].clone() };
    draft.parts = vec![part(CONTENT_BYTES_MAX), part(1)];
    let much = fr.sign(draft);
    fr.is_refused(&much, much.envelope.clone(), Code::ResourceExhausted, "TOO_LARGE").await;

    // Four gigabytes that are declared and do not come are a field that ends in the middle.
    let declared: Vec<u8> = [vec![1 << 3 | 2], varint(u64::from(u32::MAX), 1), vec![0; 16]].concat();
    let refused = fr.raw.call(SUBMIT, declared.into()).await.unwrap_err();
    assert_eq!((refused.code, &*refused.reason), (Code::InvalidArgument, "MALFORMED"));

    // Beyond four megabytes a message is refused by its length, before anything is read.
    let refused = fr.raw.call(SUBMIT, vec![0; (4 << 20) + 1].into()).await.unwrap_err();
    assert_eq!((refused.code, &*refused.reason), (Code::ResourceExhausted, "TOO_LARGE"));
    assert_eq!(refused.metadata["limit"], (4 << 20).to_string());
    for method in ["/liaison.v1.ExchangeService/Nothing", "/nobody.v1.Service/Nothing", "/"] {
        let refused = fr.raw.call(method, vec![0].into()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::Unimplemented, "UNKNOWN_METHOD"), "{method}");
    }
    assert_eq!(fr.log_size().await, size);

    // What just fits is taken.
    fr.raw.submit(sealed(of_size(MANIFEST_BYTES_MAX), &fr.notice_key), notice.parts).await.unwrap();
    assert_log_is_sound(&fr).await;
}

//! The strict look at protobuf knows every field of the protos: a field added there and forgotten here would pass unseen.

use liaison_protocol::wire::{Kind, Shape};
use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, Kind as Proto};

const DESCRIPTORS: &[u8] = include_bytes!("../../src/grpc/generated/descriptors.bin");

const SHAPES: &[&Shape] = &[
    &liaison_protocol::envelope::ENVELOPE,
    &liaison_protocol::manifest::MANIFEST,
    &liaison_protocol::ack::ACKNOWLEDGEMENT,
    &liaison_protocol::directory::DIRECTORY_HEAD,
    &liaison_protocol::directory::RECORD,
    &liaison_protocol::statement::STATEMENT,
    &liaison_protocol::receipt::EVIDENCE,
];

fn compare(shape: &Shape, pool: &DescriptorPool, seen: &mut Vec<&'static str>) {
    if seen.contains(&shape.name) {
        return;
    }
    seen.push(shape.name);
    let message = pool.get_message_by_name(&format!("liaison.v1.{}", shape.name)).expect(shape.name);
    // Numbers kept for what is still to come are no fields.
    let fields = || shape.fields.iter().filter(|field| !matches!(field.kind, Kind::Kept { .. }));
    assert_eq!(message.fields().len(), fields().count(), "{}", shape.name);
    for field in fields() {
        let proto = message.get_field(field.number).unwrap_or_else(|| panic!("{}.{}", shape.name, field.name));
        let at = format!("{}.{}", shape.name, field.name);
        assert_eq!(proto.name(), field.name, "{at}");
        assert_eq!(proto.cardinality() == Cardinality::Repeated, field.max > 1, "{at}");
        let real_oneof = proto.containing_oneof().is_some_and(|oneof| oneof.fields().len() > 1);
        assert_eq!(real_oneof, field.choice, "{at}");
        assert!(fits(&field.kind, &proto), "{at}");
        if let Kind::Message(inner) = field.kind {
            compare(inner, pool, seen);
        }
    }
}

fn fits(kind: &Kind, field: &FieldDescriptor) -> bool {
    match (kind, field.kind()) {
        (Kind::Text, Proto::String) | (Kind::Bytes, Proto::Bytes) => true,
        (Kind::Message(inner), Proto::Message(message)) => inner.name == message.name(),
        (
            Kind::Varint | Kind::Varints,
            Proto::Uint32 | Proto::Uint64 | Proto::Int64 | Proto::Int32 | Proto::Bool | Proto::Enum(_),
        ) => matches!(kind, Kind::Varints) == (field.cardinality() == Cardinality::Repeated),
        _ => false,
    }
}

#[test]
fn every_shape_knows_exactly_the_fields_of_its_message() {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("the descriptors decode");
    let mut seen = Vec::new();
    for shape in SHAPES {
        compare(shape, &pool, &mut seen);
    }
    assert!(seen.len() > 20, "{seen:?}");
}

//! A content as the bag of everything it says, read from its serialized bytes by way of the published descriptors.

use std::collections::HashMap;

use liaison_protocol::proto;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, ReflectMessage as _, Value};

use super::walk::{Leaf, collapse};

const DESCRIPTORS: &[u8] = include_bytes!("../../src/grpc/generated/descriptors.bin");

/// How often each text, name of an enumeration's value, YES or NO stands in it.
pub(super) struct Bag(HashMap<String, usize>);

pub(super) struct Opener(DescriptorPool);

impl Opener {
    pub(super) fn new() -> Self {
        Self(DescriptorPool::decode(DESCRIPTORS).expect("the descriptors are well formed"))
    }

    pub(super) fn open(&self, content: &proto::Content) -> Bag {
        let descriptor = self.0.get_message_by_name("liaison.v1.Content").expect("it is in the protos");
        let bytes = content.encode_to_vec();
        let message = DynamicMessage::decode(descriptor, bytes.as_slice()).expect("it was just encoded");
        let mut bag = Bag(HashMap::new());
        bag.put_all(&message);
        bag
    }
}

impl Bag {
    /// Takes out what the content says for this text; false if it is not there, or not as often.
    pub(super) fn take(&mut self, leaf: &Leaf) -> bool {
        let said = match leaf.element.as_str() {
            "TYPE_OF_DATE" => format!("BIRTH_TYPE_{}", leaf.text.to_uppercase()),
            "GENDER" => format!("GENDER_{}", leaf.text.to_uppercase()),
            "QUALITY" if leaf.text == "a.k.a." => "ALIAS_QUALITY_ALSO_KNOWN_AS".to_owned(),
            "QUALITY" if leaf.text == "f.k.a." => "ALIAS_QUALITY_FORMERLY_KNOWN_AS".to_owned(),
            "QUALITY" => format!("ALIAS_QUALITY_{}", leaf.text.to_uppercase()),
            _ => leaf.text.clone(),
        };
        match self.0.get_mut(&said) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn put(&mut self, said: String) {
        *self.0.entry(said).or_default() += 1;
    }

    fn put_all(&mut self, message: &DynamicMessage) {
        assert_eq!(message.unknown_fields().count(), 0, "{}", message.descriptor().full_name());
        for (field, value) in message.fields() {
            match value {
                Value::List(values) => values.iter().for_each(|value| self.put_value(&field.kind(), value)),
                value => self.put_value(&field.kind(), value),
            }
        }
    }

    fn put_value(&mut self, kind: &Kind, value: &Value) {
        match (kind, value) {
            (_, Value::String(text)) => self.put(collapse(text)),
            (_, Value::Bool(yes)) => self.put(if *yes { "YES" } else { "NO" }.to_owned()),
            (_, Value::Message(message)) => self.put_all(message),
            (Kind::Enum(descriptor), Value::EnumNumber(number)) => {
                let value = descriptor.get_value(*number).expect("a value of the enumeration");
                self.put(value.name().to_owned());
            }
            // Years, months and days are read from texts that are in the bag.
            _ => {}
        }
    }
}

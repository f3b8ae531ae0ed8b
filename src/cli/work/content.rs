//! A content as protobuf JSON, written and read. Reading is strict: a file that becomes a notice is signed for as it was understood,
//! so what could be understood in two ways, or not at all, is refused with the field and the byte it begins at.

use std::collections::BTreeMap;

use liaison_protocol::limits::CONTENT_BYTES_MAX;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};

use crate::import::json::{Fault, ITEMS_MAX, Json, TEXT_BYTES_MAX};

const DESCRIPTORS: &[u8] = include_bytes!("../../grpc/generated/descriptors.bin");

/// A file of JSON. Escapes and white space make it larger than the content, which is at most 1 MiB.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Numbers that mean something, by message and field: content.proto says what.
const RANGES: &[(&str, u32)] = &[
    ("Date.year", 9_999),
    ("Date.month", 12),
    ("Date.day", 31),
    ("Description.height_mm", 3_000),
    ("Description.weight_g", 700_000),
];
/// Texts and numbers that stand for nothing when they are empty.
const NEVER_EMPTY: &[&str] =
    &["ChangedField.field", "Country.text", "Date.text", "NamePart.text", "UnknownField.path", "UnknownField.text"];
/// Bytes of a language tag (BCP 47).
const LANGUAGE_BYTES_MAX: usize = 35;
/// Bytes of a NoticeId.
const NOTICE_ID_BYTES: usize = 32;

fn descriptor() -> MessageDescriptor {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("the generated descriptors decode");
    pool.get_message_by_name("liaison.v1.Content").expect("the protos define Content")
}

/// A content as protobuf JSON.
pub(super) fn to_json(bytes: &[u8]) -> Option<serde_json::Value> {
    let message = DynamicMessage::decode(descriptor(), bytes).ok()?;
    serde_json::to_value(message).ok()
}

/// The content in a file of protobuf JSON, as bytes of a CONTENT part.
pub(super) fn from_json(file: &[u8]) -> Result<Vec<u8>, Fault> {
    let json = Json::parse(file, FILE_BYTES_MAX)?;
    json.has_no_member_twice()?;
    let content = descriptor();
    shape(&json, &content)?;
    // Its shape was looked at above, with the field's name: serde_json's limit of 128 levels is never reached.
    let read = DynamicMessage::deserialize(content, &mut serde_json::Deserializer::from_str(json.as_str()));
    let message = read.map_err(|error| json.fault(error.to_string()))?;
    judge(&message).map_err(|(field, problem)| Fault { offset: json.offset_of(&field), field, problem })?;
    Ok(message.encode_to_vec())
}

/// Every member is a field of this message, of the field's type, and no other name of it and no other member of its oneof is there.
fn shape(json: &Json<'_>, message: &MessageDescriptor) -> Result<(), Fault> {
    let mut taken = BTreeMap::<String, String>::new();
    for (name, member) in json.object()?.into_members() {
        let Some(field) = message.get_field_by_json_name(&name).or_else(|| message.get_field_by_name(&name)) else {
            return Err(member
                .fault(format!("{} has no such field; proto/liaison/v1/content.proto lists all", message.name())));
        };
        let slot = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let slot = slot.map_or_else(|| field.name().to_owned(), |oneof| format!("one of {}", oneof.name()));
        if let Some(other) = taken.insert(slot, name) {
            return Err(member.fault(format!("stands beside {other}, and only one of them can be meant")));
        }
        if member.is_null() {
            continue;
        }
        if field.is_list() {
            member.items(ITEMS_MAX)?.iter().try_for_each(|item| value(item, &field))?;
        } else {
            value(&member, &field)?;
        }
    }
    Ok(())
}

fn value(json: &Json<'_>, field: &FieldDescriptor) -> Result<(), Fault> {
    match field.kind() {
        Kind::Message(message) => shape(json, &message),
        Kind::String => json.text().map(drop),
        Kind::Enum(known) => match json.text() {
            Ok(word) if known.get_value_by_name(&word).is_some() => Ok(()),
            Err(_) if json.number_as::<i32>().is_some_and(|number| known.get_value(number).is_some()) => Ok(()),
            _ => {
                let words: Vec<_> = known.values().map(|value| value.name().to_owned()).collect();
                Err(json.fault(format!("expected one of {}", words.join(", "))))
            }
        },
        Kind::Bool if !matches!(json.as_str(), "true" | "false") => Err(json.fault("expected true or false")),
        Kind::Uint32 => match json.number_as::<u32>() {
            Some(_) => Ok(()),
            None => Err(json.fault("expected a whole number that is not negative")),
        },
        Kind::Bytes => json.text().map(drop),
        _ => Ok(()),
    }
}

/// What a content has to be, whoever made it: the sentences of content.proto. Err: the field, with names joined by `/`, and what is wrong.
fn judge(content: &DynamicMessage) -> Result<(), (String, String)> {
    let bytes = content.encoded_len();
    if bytes > CONTENT_BYTES_MAX {
        return Err((String::new(), format!("{bytes} bytes of content, and at most {CONTENT_BYTES_MAX} are sent")));
    }
    let body = content.descriptor().oneofs().find(|oneof| oneof.name() == "body").expect("a content has a body");
    let Some(said) = body.fields().find(|field| content.has_field(field)) else {
        let words: Vec<_> = body.fields().map(|field| field.name().to_owned()).collect();
        return Err((
            String::new(),
            format!("nothing is said: exactly one of {} has to be there", words.join(", ")),
        ));
    };
    if is_empty(&content.get_field(&said)) {
        return Err((said.name().to_owned(), "nothing is said of it".to_owned()));
    }
    fields(content, "")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Message(message) => message.fields().all(|(_, value)| is_empty(value)),
        Value::List(items) => items.iter().all(is_empty),
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn fields(message: &DynamicMessage, path: &str) -> Result<(), (String, String)> {
    let descriptor = message.descriptor();
    let below = |field: &FieldDescriptor| {
        if path.is_empty() { field.name().to_owned() } else { format!("{path}/{}", field.name()) }
    };
    for field in descriptor.fields() {
        let name = format!("{}.{}", descriptor.name(), field.name());
        let wrong = |problem: String| Err((below(&field), problem));
        if NEVER_EMPTY.contains(&name.as_str()) && is_empty(&message.get_field(&field)) {
            return wrong("it may not be empty or missing".to_owned());
        }
        if !message.has_field(&field) {
            continue;
        }
        let value = message.get_field(&field);
        match value.as_ref() {
            Value::U32(number) => {
                let range = RANGES.iter().find(|(ranged, _)| *ranged == name);
                if let Some((_, max)) = range.filter(|(_, max)| number > max) {
                    return wrong(format!("{number}, and it is at most {max}"));
                }
            }
            Value::Bytes(bytes) if !bytes.is_empty() && bytes.len() != NOTICE_ID_BYTES => {
                return wrong(format!("{} bytes, and a NoticeId has {NOTICE_ID_BYTES}", bytes.len()));
            }
            Value::String(text) => {
                let max = if name == "Text.language" { LANGUAGE_BYTES_MAX } else { TEXT_BYTES_MAX };
                if text.len() > max {
                    return wrong(format!("{} bytes, and at most {max} are sent", text.len()));
                }
            }
            Value::EnumNumber(number) => {
                let Kind::Enum(known) = field.kind() else { continue };
                if known.get_value(*number).is_none() {
                    return wrong(format!("{number} means nothing; {} lists what does", known.name()));
                }
            }
            Value::Message(inner) => fields(inner, &below(&field))?,
            Value::List(items) => {
                if items.len() > ITEMS_MAX {
                    return wrong(format!("{} items, and at most {ITEMS_MAX} are sent", items.len()));
                }
                items.iter().filter_map(Value::as_message).try_for_each(|item| fields(item, &below(&field)))?;
            }
            _ => {}
        }
    }
    match descriptor.name() {
        "Date" => day(message).map_err(|problem| (path.to_owned(), problem)),
        "Text"
            if ["subject", "body"]
                .iter()
                .all(|name| message.get_field_by_name(name).is_some_and(|text| is_empty(&text))) =>
        {
            Err((path.to_owned(), "it has neither a subject nor a body".to_owned()))
        }
        "Place" if message.fields().all(|(_, value)| is_empty(value)) => {
            Err((path.to_owned(), "at least one of its fields has to be there".to_owned()))
        }
        _ => Ok(()),
    }
}

/// A date that was read is a day of the calendar, as far as it goes.
fn day(date: &DynamicMessage) -> Result<(), String> {
    let part = |name| date.get_field_by_name(name).and_then(|value| value.as_u32()).unwrap_or_default();
    let (year, month, day) = (part("year"), part("month"), part("day"));
    let small = |number: u32| i8::try_from(number.max(1)).unwrap_or_default();
    let whole =
        i16::try_from(year).is_ok_and(|year| jiff::civil::Date::new(year, small(month), small(day)).is_ok());
    if whole || year == 0 {
        Ok(())
    } else {
        Err(format!("{year:04}-{month:02}-{day:02} is no day of the calendar"))
    }
}

#[cfg(test)]
mod tests;

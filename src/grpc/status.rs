//! One refusal, one status: the catalogue's reason in `google.rpc.ErrorInfo`, with what helps a program beside it.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderMap;
use liaison_protocol::reason::{Class, Reason, Refusal};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt as _};

/// Where details travel (gRPC over HTTP/2).
const DETAILS: &str = "grpc-status-details-bin";
/// The domain of all reasons.
const DOMAIN: &str = "liaison";
/// A sentence may quote what a caller sent; it is cut here, so that details stay below 4 KiB.
const MESSAGE_CHARS_MAX: usize = 512;

pub(super) fn of(refusal: &Refusal) -> Status {
    let message: String = refusal.message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
    let mut metadata: HashMap<String, String> =
        refusal.metadata.iter().map(|(key, value)| ((*key).into(), value.chars().take(256).collect())).collect();
    metadata.insert("next".into(), refusal.reason.next().into());
    let mut details = ErrorDetails::with_error_info(refusal.reason.word(), DOMAIN, metadata);
    let field = refusal.metadata.iter().find(|(key, _)| *key == "field").map(|(_, path)| path);
    match (refusal.reason.class(), field) {
        (Class::InvalidArgument, Some(field)) => {
            details.set_bad_request(vec![FieldViolation::new(field, &message)]);
        }
        (Class::FailedPrecondition, _) => {
            details.set_precondition_failure(vec![PreconditionViolation::new(
                refusal.reason.word(),
                DOMAIN,
                &message,
            )]);
        }
        _ => {}
    }
    if let Some(after) = refusal.retry_after_ms {
        details.set_retry_info(Some(Duration::from_millis(u64::from(after))));
    }
    Status::with_error_details(code(refusal.reason.class()), format!("{}: {message}", refusal.reason), details)
}

fn code(class: Class) -> Code {
    match class {
        Class::InvalidArgument => Code::InvalidArgument,
        Class::Unauthenticated => Code::Unauthenticated,
        Class::PermissionDenied => Code::PermissionDenied,
        Class::FailedPrecondition => Code::FailedPrecondition,
        Class::AlreadyExists => Code::AlreadyExists,
        Class::NotFound => Code::NotFound,
        Class::OutOfRange => Code::OutOfRange,
        Class::ResourceExhausted => Code::ResourceExhausted,
        Class::Unavailable => Code::Unavailable,
        Class::DataLoss => Code::DataLoss,
        Class::Internal => Code::Internal,
        Class::Unimplemented => Code::Unimplemented,
    }
}

/// The reason for a status that the library under us made, which gives none. It makes them of what a caller sent, before any
/// service of ours sees it. None: it has one, there is no refusal, or it tells of the line and not of the call.
pub(super) fn reasoned(headers: &HeaderMap) -> Option<Status> {
    let refused = headers.get(Status::GRPC_STATUS).is_some_and(|code| code != "0");
    if !refused || headers.contains_key(DETAILS) {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    let reason = match status.code() {
        Code::Unimplemented => Reason::UnknownMethod,
        Code::NotFound => Reason::NotFound,
        Code::OutOfRange | Code::ResourceExhausted => Reason::TooLarge,
        Code::InvalidArgument | Code::Internal => Reason::Malformed,
        Code::Unknown => Reason::Defect,
        _ => return None,
    };
    let message = if status.message().is_empty() { reason.meaning() } else { status.message() };
    Some(of(&Refusal::new(reason, message)))
}

/// A serialized `google.rpc.Status`, for one of many in a stream: what a unary call would have answered.
pub(super) fn serialized(refusal: &Refusal) -> bytes::Bytes {
    use prost::Message as _;
    let status = of(refusal);
    // tonic keeps the details as they travel: an encoded google.rpc.Status.
    if status.details().is_empty() {
        let bare = tonic_types::pb::Status {
            code: status.code() as i32,
            message: status.message().into(),
            details: Vec::new(),
        };
        return bare.encode_to_vec().into();
    }
    bytes::Bytes::copy_from_slice(status.details())
}

//! What is spoken here: gRPC by POST, in protobuf, uncompressed. Anything else is told so before it is read.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use liaison_protocol::reason::{Reason, Refusal};
use tonic::body::Body;

use crate::grpc::status;

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
const IDENTITY: &str = "identity";

/// The answer to a request that is something else. Whoever does not know gRPC sees it by the status of HTTP.
pub(super) fn refused<B>(request: &Request<B>) -> Option<Response<Body>> {
    let (code, message) = if request.method() != Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, "the request is no POST")
    } else if !is_grpc(request.headers().get(CONTENT_TYPE)) {
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content-type is neither application/grpc nor application/grpc+proto",
        )
    } else if request.headers().get(ENCODING).is_some_and(|encoding| encoding != IDENTITY) {
        (StatusCode::OK, "the request is compressed")
    } else {
        return None;
    };
    let mut response = status::of(&Refusal::new(Reason::NotSpoken, message)).into_http();
    *response.status_mut() = code;
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(IDENTITY));
    if code == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    Some(response)
}

fn is_grpc(kind: Option<&HeaderValue>) -> bool {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].iter().any(|spoken| kind.eq_ignore_ascii_case(spoken))
}

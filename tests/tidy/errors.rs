//! `docs/ERRORS.md` is the catalogue of `liaison_protocol::reason`, for people.
//! `LIAISON_GENERATE=1 cargo test --test tidy errors` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use liaison_protocol::reason::{Class, Reason};

fn code(class: Class) -> &'static str {
    match class {
        Class::InvalidArgument => "INVALID_ARGUMENT",
        Class::Unauthenticated => "UNAUTHENTICATED",
        Class::PermissionDenied => "PERMISSION_DENIED",
        Class::FailedPrecondition => "FAILED_PRECONDITION",
        Class::AlreadyExists => "ALREADY_EXISTS",
        Class::NotFound => "NOT_FOUND",
        Class::OutOfRange => "OUT_OF_RANGE",
        Class::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Class::Unavailable => "UNAVAILABLE",
        Class::DataLoss => "DATA_LOSS",
        Class::Internal => "INTERNAL",
        Class::Unimplemented => "UNIMPLEMENTED",
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Every status carries `google.rpc.ErrorInfo` with domain `liaison`, one of these reasons, and metadata a program may branch on; \
         `next` in it is the last column here. BadRequest, PreconditionFailure and RetryInfo stand beside it where they fit.\n\n\
         What is no gRPC is told so by HTTP as well, with the same details in its headers: another method than POST by 405, another \
         content-type than `application/grpc` or `application/grpc+proto` by 415. Without a reason are only: headers of more than 4 KiB, \
         which HTTP/2 answers by itself with 431; a call whose line is cut off, which ends with RST_STREAM, GOAWAY or the connection \
         (event `h2.abuse` or `conn.limited`); a stream beyond the hundredth of a line (REFUSED_STREAM: the same call may pass later); a \
         deadline that has passed (DEADLINE_EXCEEDED or CANCELLED); and what the operator's socket answers to a call that is malformed.\n\n\
         `liaison errors lookup REASON` prints a row.\n\n\
         | reason | status | means | next |\n|---|---|---|---|\n",
    );
    for reason in Reason::ALL {
        let _ =
            writeln!(page, "| {reason} | {} | {} | {} |", code(reason.class()), reason.meaning(), reason.next());
    }
    page
}

#[test]
fn the_page_of_errors_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ERRORS.md");
    if std::env::var_os("LIAISON_GENERATE").is_some() {
        std::fs::write(&path, page()).expect("writable");
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        page(),
        "LIAISON_GENERATE=1 cargo test --test tidy errors"
    );
}

#[test]
fn every_reason_is_given_by_something() {
    let mut sources = String::new();
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/liaison-protocol/src"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &std::fs::read_to_string(path).expect("readable");
            }
        }
    }
    for reason in Reason::ALL {
        assert!(sources.contains(&format!("Reason::{reason:?}")), "nothing gives {reason}");
    }
}

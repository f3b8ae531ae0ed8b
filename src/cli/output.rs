//! What people and programs see: the same content, as lines or as one JSON object.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use liaison_client::ClientError;
use liaison_protocol::id::Micros;
use liaison_protocol::reason::Class;
use liaison_protocol::text::{visible, visible_lines};
use serde_json::{Map, Value};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Lines for people.
    Human,
    /// One object on one line at the end.
    Json,
}

/// Exit codes, the same in every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Called wrongly.
    Usage = 2,
    /// Not found.
    NotFound = 3,
    /// Not allowed.
    NotAllowed = 4,
    /// Conflict.
    Conflict = 5,
    /// Unavailable or timed out.
    Unavailable = 6,
    /// Verification failed.
    Unverified = 7,
    /// Partly delivered.
    Partly = 8,
}

/// Why a command failed, in one sentence, and what to do next.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One sentence.
    pub message: String,
    /// The next step, if there is one to name.
    pub next: Option<String>,
    /// The catalogue's reason, if a node gave one.
    pub reason: Option<&'static str>,
}

impl Failure {
    /// Failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// With its exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next: None, reason: None }
    }

    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Finds out why there is no line, or a strange one.
const DOCTOR: &str = "liaison -c CONTEXT doctor";

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let reason = error.reason();
        let exit = match (&error, reason.map(liaison_protocol::reason::Reason::class)) {
            (_, Some(Class::NotFound | Class::OutOfRange)) => Exit::NotFound,
            (_, Some(Class::PermissionDenied | Class::Unauthenticated)) => Exit::NotAllowed,
            (_, Some(Class::AlreadyExists)) => Exit::Conflict,
            (_, Some(Class::ResourceExhausted | Class::Unavailable)) => Exit::Unavailable,
            (ClientError::Unreachable { .. }, _) => Exit::Unavailable,
            (ClientError::NotLetIn { .. }, _) => Exit::NotAllowed,
            (ClientError::OtherNetwork(_), _) => Exit::Usage,
            (ClientError::NotTheNode { .. } | ClientError::Unproven(_), _) => Exit::Unverified,
            _ => Exit::Failed,
        };
        Self {
            exit,
            // What a node says stays on its line.
            message: visible(&error.to_string()).into_owned(),
            next: match &error {
                ClientError::OtherNetwork(_) => {
                    Some("get the trust file of this network from your authority".into())
                }
                ClientError::Unreachable { .. }
                | ClientError::NotLetIn { .. }
                | ClientError::NotTheNode { .. }
                | ClientError::Strange { .. } => Some(DOCTOR.into()),
                _ => reason.map(|reason| reason.next().to_string()),
            },
            reason: reason.map(liaison_protocol::reason::Reason::word),
        }
    }
}

/// Where a command says what it does and what it found. Nothing that steers a terminal passes, wherever it came from; and a reader
/// that went away, or a disk that is full, changes neither what a command does nor its exit code.
pub struct Output {
    format: Format,
    object: Map<String, Value>,
    /// Why nothing more is printed: half a result is not continued behind a gap.
    unprinted: Arc<OnceLock<io::ErrorKind>>,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format, object: Map::new(), unprinted: Arc::default() }
    }

    /// Another in the same format, whose object is apart.
    pub(super) fn like(other: &Self) -> Self {
        Self { format: other.format, object: Map::new(), unprinted: other.unprinted.clone() }
    }

    /// Whether whoever read the results has left: a command that follows something has nobody left to follow it for.
    pub fn reader_left(&self) -> bool {
        self.unprinted.get() == Some(&io::ErrorKind::BrokenPipe)
    }

    fn print(&self, text: &str) {
        if self.unprinted.get().is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        let line = [visible_lines(text).as_bytes(), b"\n"].concat();
        if let Err(error) = out.write_all(&line).and_then(|()| out.flush()) {
            // A reader that closes its end has seen enough. Anything else is told where it can be, once.
            if error.kind() != io::ErrorKind::BrokenPipe {
                complain(&format!(" ! the result cannot be printed: {error}. The exit code tells what was done."));
            }
            let _ = self.unprinted.set(error.kind());
        }
    }

    /// Whether a program reads this.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A result, for people.
    pub fn line(&self, text: impl AsRef<str>) {
        if !self.is_json() {
            self.print(text.as_ref());
        }
    }

    /// Talk, for people.
    pub fn talk(&self, text: impl AsRef<str>) {
        if !self.is_json() {
            complain(text.as_ref());
        }
    }

    /// A result, for programs.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.object.insert(key.into(), value.into());
    }

    /// One object on a line of its own, for programs that follow.
    pub fn emit(&self, value: &Value) {
        if self.is_json() {
            self.print(&value.to_string());
        }
    }

    pub(super) fn finish(mut self, outcome: Result<Exit, Failure>) -> ExitCode {
        let exit = match outcome {
            Ok(exit) => exit,
            Err(failure) => {
                if self.is_json() {
                    let mut error = Map::new();
                    error.insert("message".into(), failure.message.into());
                    error.insert("reason".into(), failure.reason.into());
                    error.insert("next".into(), failure.next.into());
                    self.object.insert("error".into(), error.into());
                } else {
                    complain(&format!(" ✘ {}", failure.message));
                    if let Some(next) = failure.next {
                        complain(&format!("   next: {next}"));
                    }
                }
                failure.exit
            }
        };
        if self.is_json() && !self.object.is_empty() {
            let object = std::mem::take(&mut self.object);
            self.print(&Value::Object(object).to_string());
        }
        ExitCode::from(exit as u8)
    }
}

/// A line on stderr. Where that cannot be written either, nobody is left to tell.
pub(super) fn complain(text: &str) {
    let line = [visible_lines(text).as_bytes(), b"\n"].concat();
    let _ = io::stderr().lock().write_all(&line);
}

/// A moment in UTC, for people and programs alike.
pub(super) fn time(micros: Micros) -> String {
    match jiff::Timestamp::from_microsecond(micros.0) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => format!("{} µs", micros.0),
    }
}

/// Now, by this machine's clock.
pub(super) fn now() -> Micros {
    use crate::clock::Clock as _;
    crate::clock::SystemClock::new().now()
}

/// How long ago, in the largest unit that fits.
pub(super) fn age(since: Micros, now: Micros) -> String {
    let seconds = now.since(since).max(0) / Micros::SECOND;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The middle of a long name left out.
pub(super) fn short(name: &str) -> String {
    match name.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 => format!("sha256:{}…{}", &hex[..4], &hex[60..]),
        _ => name.into(),
    }
}

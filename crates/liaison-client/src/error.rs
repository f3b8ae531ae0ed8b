//! What a caller can meet, and what to do next.

use liaison_protocol::reason::{Reason, Refusal};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why a call did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node refused, with a reason of the catalogue.
    #[error("{message}")]
    Refused {
        /// From the catalogue.
        reason: Reason,
        /// The node's sentence, which begins with the reason's word.
        message: String,
        /// When the same bytes may pass, milliseconds.
        retry_after_ms: Option<u64>,
        /// What a program may branch on.
        metadata: Vec<(String, String)>,
    },
    /// The node could not be reached, or answered without a reason of the catalogue.
    #[error("{node}: {message}")]
    Unreachable {
        /// Where it was tried.
        node: String,
        /// What happened.
        message: String,
    },
    /// The node refused the caller's certificate: the same call does not pass later.
    #[error("{node}: the node refused this certificate: {message}")]
    NotLetIn {
        /// Which node.
        node: String,
        /// Why, by its alert.
        message: String,
    },
    /// Whoever answers is not the node that is meant, or cannot prove it.
    #[error("{node}: {message}")]
    NotTheNode {
        /// Where it was tried.
        node: String,
        /// What is wrong with who answers there.
        message: String,
    },
    /// The node refused without a reason of the catalogue, and would again.
    #[error("{node}: {message}")]
    Strange {
        /// Which node.
        node: String,
        /// Its status.
        message: String,
    },
    /// The node's directory is of another network than the trust file.
    #[error("{0}")]
    OtherNetwork(String),
    /// The node answered something that does not prove what it must.
    #[error("the node's answer does not hold: {0}")]
    Unproven(String),
    /// A file or key that the caller gave.
    #[error("{0}")]
    Local(String),
}

impl ClientError {
    /// Reads a status.
    pub(crate) fn from_status(node: &str, status: &Status) -> Self {
        let info = status.get_details_error_info();
        let reason = info.as_ref().and_then(|info| Reason::find(&info.reason));
        let delay = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        match reason {
            Some(reason) => Self::Refused {
                reason,
                message: status.message().into(),
                retry_after_ms: delay.map(|delay| delay.as_millis() as u64),
                metadata: info.map(|info| info.metadata.into_iter().collect()).unwrap_or_default(),
            },
            None => Self::without_reason(node, status),
        }
    }

    /// A status that no service wrote: the line broke, or something stands between.
    fn without_reason(node: &str, status: &Status) -> Self {
        let node = node.to_owned();
        let said = || format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::Cancelled | Code::Unknown if std::error::Error::source(status).is_some() => {
                Self::Unreachable { node, message: "the line ended before the node answered".into() }
            }
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                Self::Unreachable { node, message: said() }
            }
            _ => Self::Strange { node, message: said() },
        }
    }

    /// Reads a serialized `google.rpc.Status` of one in a stream.
    pub(crate) fn from_serialized(node: &str, bytes: bytes::Bytes) -> Self {
        use prost::Message as _;
        match tonic_types::pb::Status::decode(bytes.clone()) {
            Ok(status) => {
                let code = Code::from_i32(status.code);
                Self::from_status(node, &Status::with_details(code, status.message, bytes))
            }
            Err(_) => Self::Unproven("a refusal that cannot be read".into()),
        }
    }

    /// Whether the same bytes may pass later.
    pub fn may_pass_later(&self) -> bool {
        match self {
            Self::Refused { retry_after_ms, .. } => retry_after_ms.is_some(),
            Self::Unreachable { .. } => true,
            Self::NotLetIn { .. } | Self::NotTheNode { .. } | Self::Strange { .. } => false,
            Self::OtherNetwork(_) | Self::Unproven(_) | Self::Local(_) => false,
        }
    }

    /// The catalogue's reason, if the node gave one.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { reason, .. } => Some(*reason),
            _ => None,
        }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        Self::Unproven(refusal.to_string())
    }
}

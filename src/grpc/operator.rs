//! `OperatorService`: for the node's own operator, on a local socket only.

use std::sync::Arc;

use liaison_protocol::proto;
use tonic::{Request, Response, Status as Refused};

use super::generated::operator_service_server::OperatorService;

/// How a node is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Node identifier.
    pub node: String,
    /// Since start.
    pub uptime_s: u64,
    /// Its log.
    pub log_origin: String,
    /// Leaves under the newest checkpoint.
    pub log_size: u64,
    /// Directory head in force.
    pub directory_version: u64,
    /// When a newer one is due, microseconds since 1970.
    pub directory_renew_by_us: i64,
    /// By partner: notices waiting, and Collect streams open.
    pub mailboxes: Vec<(String, u64, u32)>,
    /// Open now.
    pub connections: u32,
}

/// What reading the files again came to, one line each.
pub type Reloading = std::pin::Pin<Box<dyn std::future::Future<Output = Vec<String>> + Send>>;

/// What the process offers its operator.
pub trait Operator: Send + Sync + 'static {
    /// How it is.
    fn status(&self) -> Status;
    /// Reads directory and certificates again.
    fn reload(&self) -> Reloading;
}

pub(super) struct Service {
    operator: Arc<dyn Operator>,
}

impl Service {
    pub(super) fn new(operator: Arc<dyn Operator>) -> Self {
        Self { operator }
    }
}

#[tonic::async_trait]
impl OperatorService for Service {
    async fn get_status(
        &self,
        _: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Refused> {
        let status = self.operator.status();
        Ok(Response::new(proto::GetStatusResponse {
            node: status.node,
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: status.uptime_s,
            log_origin: status.log_origin,
            log_size: status.log_size,
            directory_version: status.directory_version,
            directory_renew_by_us: status.directory_renew_by_us,
            mailboxes: status
                .mailboxes
                .into_iter()
                .map(|(partner, waiting, streams)| proto::MailboxStatus { partner, waiting, streams })
                .collect(),
            connections: status.connections,
        }))
    }

    async fn reload(&self, _: Request<proto::ReloadRequest>) -> Result<Response<proto::ReloadResponse>, Refused> {
        Ok(Response::new(proto::ReloadResponse { outcomes: self.operator.reload().await }))
    }
}

//! `OperatorService`: for the node's own operator, on a local socket only.

use std::sync::Arc;

use liaison_protocol::proto;
use tonic::{Request, Response, Status as Refused};

use super::generated::operator_service_server::OperatorService;

/// How a node is, in the words of the wire: the process fills it in, and this service adds the program's version.
pub type Status = proto::GetStatusResponse;

/// How it is, once it is known.
pub type Looking = std::pin::Pin<Box<dyn std::future::Future<Output = Status> + Send>>;

/// What reading the files again came to, one line each.
pub type Reloading = std::pin::Pin<Box<dyn std::future::Future<Output = Vec<String>> + Send>>;

/// What the process offers its operator.
pub trait Operator: Send + Sync + 'static {
    /// How it is, with a proof of growth since a size of the log; 0 for none.
    fn status(&self, since_size: u64) -> Looking;
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
        request: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Refused> {
        let status = self.operator.status(request.into_inner().since_size).await;
        Ok(Response::new(Status { version: env!("CARGO_PKG_VERSION").into(), ..status }))
    }

    async fn reload(&self, _: Request<proto::ReloadRequest>) -> Result<Response<proto::ReloadResponse>, Refused> {
        Ok(Response::new(proto::ReloadResponse { outcomes: self.operator.reload().await }))
    }
}

//! `DirectoryService`.

use std::sync::Arc;

use liaison_protocol::id::HeadVersion;
use liaison_protocol::proto;
use liaison_protocol::reason::{Reason, Refusal};
use tonic::{Request, Response, Status};

use super::generated::directory_service_server::DirectoryService;
use super::{caller, convert, status};
use crate::exchange::Exchange;

pub(super) struct Service {
    exchange: Arc<Exchange>,
}

impl Service {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }

    fn directory(&self, version: u64) -> Result<Arc<liaison_protocol::directory::Directory>, Status> {
        let directories = self.exchange.directories();
        let version = if version == 0 { directories.in_force().version() } else { HeadVersion(version) };
        directories.version(version).ok_or_else(|| {
            status::of(&Refusal::new(Reason::UnknownHead, format!("no directory version {}", version.0)))
        })
    }
}

#[tonic::async_trait]
impl DirectoryService for Service {
    async fn get_head(
        &self,
        request: Request<proto::GetHeadRequest>,
    ) -> Result<Response<proto::GetHeadResponse>, Status> {
        let directory = self.directory(request.into_inner().version)?;
        Ok(Response::new(proto::GetHeadResponse { head: directory.head().envelope().clone() }))
    }

    async fn list_records(
        &self,
        request: Request<proto::ListRecordsRequest>,
    ) -> Result<Response<proto::ListRecordsResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let refuse = |refusal: Refusal| status::of(&refusal);
        let directory = self.directory(request.version)?;
        let page = convert::page_size(request.page_size).map_err(refuse)?;
        let from = convert::page_token(&request.page_token).map_err(refuse)?.unwrap_or(0);
        let visible = self.exchange.visible_records(&caller, &directory);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let mut places = visible.into_iter().skip_while(|place| *place < from);
        let records = convert::page(places.by_ref().filter_map(|place| directory.prove(place)), page);
        Ok(Response::new(proto::ListRecordsResponse {
            version: directory.head().version().0,
            records,
            next_page_token: places.next().map(|place| place.to_string()).unwrap_or_default(),
        }))
    }
}

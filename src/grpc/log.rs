//! `LogService`.

use std::sync::Arc;

use liaison_protocol::id::Hash;
use liaison_protocol::proto;
use tonic::{Request, Response, Status};

use super::generated::log_service_server::LogService;
use super::status;
use crate::exchange::Exchange;

pub(super) struct Service {
    exchange: Arc<Exchange>,
}

impl Service {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }
}

#[tonic::async_trait]
impl LogService for Service {
    async fn get_checkpoint(
        &self,
        _: Request<proto::GetCheckpointRequest>,
    ) -> Result<Response<proto::GetCheckpointResponse>, Status> {
        let checkpoint = self.exchange.checkpoint().map_err(|refusal| status::of(&refusal))?;
        Ok(Response::new(proto::GetCheckpointResponse { checkpoint }))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<proto::GetInclusionProofRequest>,
    ) -> Result<Response<proto::GetInclusionProofResponse>, Status> {
        let proto::GetInclusionProofRequest { leaf_index, tree_size } = request.into_inner();
        let proof = self.exchange.inclusion(leaf_index, tree_size).await.map_err(|refusal| status::of(&refusal))?;
        Ok(Response::new(proto::GetInclusionProofResponse {
            tree_size: proof.size,
            leaf: proof.leaf,
            path: proof.path.into_iter().map(Hash::to_bytes).collect(),
            checkpoint: proof.published.checkpoint.clone(),
        }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<proto::GetConsistencyProofRequest>,
    ) -> Result<Response<proto::GetConsistencyProofResponse>, Status> {
        let proto::GetConsistencyProofRequest { old_size, new_size } = request.into_inner();
        let proof = self.exchange.consistency(old_size, new_size).await.map_err(|refusal| status::of(&refusal))?;
        Ok(Response::new(proto::GetConsistencyProofResponse {
            new_size: proof.size,
            path: proof.path.into_iter().map(Hash::to_bytes).collect(),
            checkpoint: proof.published.checkpoint.clone(),
        }))
    }
}

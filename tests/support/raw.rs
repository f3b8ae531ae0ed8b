//! Calls as anyone could make them: statuses as they came, and bytes that are no message at all.

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use liaison_client::{Endpoint, Signed};
use liaison_protocol::ack::Item;
use liaison_protocol::proto;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use generated::exchange_service_client::ExchangeServiceClient;
use generated::log_service_client::LogServiceClient;

/// The stubs that partners are given.
#[allow(clippy::all, unreachable_pub, dead_code, reason = "generated from the protos")]
mod generated {
    include!("../../crates/liaison-client/src/generated/liaison.v1.rs");
}

/// A refusal as a program sees it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    /// The catalogue's word; empty where the refusal is not ours.
    pub(crate) reason: String,
    pub(crate) metadata: std::collections::HashMap<String, String>,
    pub(crate) message: String,
}

/// Reads a status.
pub(crate) fn refused(status: &Status) -> Refused {
    let info = status.get_details_error_info();
    Refused {
        code: status.code(),
        reason: info.as_ref().map(|info| info.reason.clone()).unwrap_or_default(),
        metadata: info.map(|info| info.metadata).unwrap_or_default(),
        message: status.message().into(),
    }
}

/// A line without the client's kindness.
#[derive(Clone)]
pub(crate) struct Raw {
    channel: Channel,
}

impl Raw {
    pub(super) async fn connect(endpoint: &Endpoint) -> Self {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&endpoint.authority_pem))
            .identity(Identity::from_pem(&endpoint.certificate_pem, &endpoint.key_pem))
            .domain_name("hub-1");
        let channel = Channel::from_shared(format!("https://{}", endpoint.address)).unwrap();
        Self { channel: channel.tls_config(tls).unwrap().connect().await.unwrap() }
    }

    /// The exchange's stub.
    pub(crate) fn exchange(&self) -> ExchangeServiceClient<Channel> {
        ExchangeServiceClient::new(self.channel.clone())
    }

    /// Submits an envelope, whatever it is.
    pub(crate) async fn submit(&self, envelope: Bytes, parts: Vec<proto::Part>) -> Result<(), Refused> {
        let request = proto::SubmitRequest { envelope, parts };
        self.exchange().submit(request).await.map(|_| ()).map_err(|status| refused(&status))
    }

    /// Acknowledges with items that need not be those that were signed.
    pub(crate) async fn acknowledge(
        &self,
        signed: &Signed,
        change: impl FnOnce(&mut Vec<proto::AcknowledgedItem>),
    ) -> Result<(), Refused> {
        let mut items = signed.items().iter().map(Item::to_proto).collect();
        change(&mut items);
        let request = proto::AcknowledgeRequest { envelope: signed.envelope().clone(), items };
        self.exchange().acknowledge(request).await.map(|_| ()).map_err(|status| refused(&status))
    }

    /// Asks for a proof that a leaf lies in a tree.
    pub(crate) async fn inclusion(&self, request: proto::GetInclusionProofRequest) -> Result<(), Refused> {
        let answer = LogServiceClient::new(self.channel.clone()).get_inclusion_proof(request).await;
        answer.map(|_| ()).map_err(|status| refused(&status))
    }

    /// Asks for a proof that a tree grew into another.
    pub(crate) async fn consistency(&self, request: proto::GetConsistencyProofRequest) -> Result<(), Refused> {
        let answer = LogServiceClient::new(self.channel.clone()).get_consistency_proof(request).await;
        answer.map(|_| ()).map_err(|status| refused(&status))
    }

    /// Calls a unary method with bytes that need not be a request.
    pub(crate) async fn call(&self, method: &'static str, request: Bytes) -> Result<Bytes, Refused> {
        let mut line = tonic::client::Grpc::new(self.channel.clone());
        line.ready().await.unwrap();
        let path = PathAndQuery::from_static(method);
        let answer = line.unary(Request::new(request), path, AsTheyAre).await;
        answer.map(tonic::Response::into_inner).map_err(|status| refused(&status))
    }
}

/// Bytes as they are.
#[derive(Default)]
struct AsTheyAre;

impl Codec for AsTheyAre {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

//! The line to a node: one mutual-TLS channel, on which every call and stream runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use liaison_protocol::id::NodeId;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt as _, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::client::Grpc;
use tonic::transport::Channel;

use crate::ClientError;
use crate::fault::LastFault;
use crate::generated::directory_service_client::DirectoryServiceClient;
use crate::generated::exchange_service_client::ExchangeServiceClient;
use crate::generated::log_service_client::LogServiceClient;
use crate::generated::operator_service_client::OperatorServiceClient;
use crate::node;
use crate::turn::InTurn;

/// A node that does not answer a connection attempt by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A silent line is probed this often, so that a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// An answer with a page of notices, their parts and receipts.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Room for a stream of notices: two large pages of them. What is on its way to a slow reader has gone out of every cache.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// An HTTP/2 frame as large as this saves the node writes, and both ends headers.
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// What is read from the line at once.
const READ_BYTES: usize = 64 << 10;
/// Records that wait for their flush. More goes out at once.
const WRITE_BYTES: usize = 16 << 10;
/// Room for all streams of a line together.
const LINE_WINDOW_BYTES: u32 = 16 << 20;

/// Where a node is and who calls it. Everything in PEM.
#[derive(Clone)]
pub struct Endpoint {
    /// `host:port`.
    pub address: String,
    /// A name that the node's certificate carries; None for the address's host.
    pub server_name: Option<String>,
    /// The node that is meant, as in the directory; None: any node of the caller's network that carries the name.
    pub node: Option<NodeId>,
    /// The authority that issued the node's certificate.
    pub authority_pem: String,
    /// The caller's certificate chain.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: String,
}

/// A client on one line. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    address: Arc<str>,
    fault: LastFault,
    channel: Channel,
}

impl Client {
    /// Connects, and says at once if the node is not there or does not let the caller in.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let fault = LastFault::default();
        let last_fault = fault.clone();
        let unreachable = |error: tonic::transport::Error| {
            if let Some(fault) = last_fault.error(&endpoint.address) {
                return fault;
            }
            // The transport's own words say nothing beside their cause.
            let mut message = match std::error::Error::source(&error) {
                Some(_) => String::new(),
                None => error.to_string(),
            };
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                let cause_says = cause.to_string();
                // Some layers only repeat what they wrap.
                if !message.ends_with(&cause_says) {
                    let colon = if message.is_empty() { "" } else { ": " };
                    message += &format!("{colon}{cause_says}");
                }
                source = cause.source();
            }
            ClientError::Unreachable { node: endpoint.address.clone(), message }
        };
        let host = endpoint.address.rsplit_once(':').map_or(endpoint.address.as_str(), |(host, _)| host);
        let name = endpoint.server_name.as_deref().unwrap_or(host).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|error| ClientError::Local(error.to_string()))?;
        let tls = TlsConnector::from(Arc::new(node::tls(endpoint).map_err(ClientError::Local)?));
        let address: Arc<str> = endpoint.address.as_str().into();
        let of_line = fault.clone();
        let connector = tower::service_fn(move |_| {
            let (tls, name, address, fault) = (tls.clone(), name.clone(), address.clone(), of_line.clone());
            async move {
                let tcp = TcpStream::connect(&*address).await?;
                // Calls are small and waited for.
                tcp.set_nodelay(true)?;
                // TLS asks for 4 KiB at a time; a page of notices has a hundred. It writes record by record, and a call is two.
                let wire = BufStream::with_capacity(READ_BYTES, WRITE_BYTES, tcp);
                let connected = async {
                    let mut stream = tls.connect(name, wire).await?;
                    // In TLS 1.3 the client is done before the server has judged its certificate. A server that lets it in begins
                    // with its settings; they stay where they are.
                    let first = stream.fill_buf().await?.len();
                    let closed =
                        || io::Error::new(io::ErrorKind::ConnectionAborted, "the node closed the line at once");
                    if first == 0 { Err(closed()) } else { Ok(stream) }
                };
                let connected = connected.await;
                fault.note(&connected);
                connected.map(InTurn::new).map(TokioIo::new)
            }
        });
        let bad_address = |_| ClientError::Local(format!("{} is not host:port", endpoint.address));
        let origin = format!("https://{}", endpoint.address).parse().map_err(|_| bad_address(()))?;
        // TLS is the connector's affair; tonic would not ask who answers.
        let channel = Channel::from_shared(format!("http://{}", endpoint.address))
            .map_err(|_| bad_address(()))?
            .origin(origin)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(LINE_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .connect_with_connector(connector)
            .await
            .map_err(unreachable)?;
        Ok(Self { address: endpoint.address.as_str().into(), fault, channel })
    }

    /// Where the node is.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn exchange(&self) -> ExchangeServiceClient<Channel> {
        ExchangeServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn log(&self) -> LogServiceClient<Channel> {
        LogServiceClient::new(self.channel.clone())
    }

    /// The line itself, for a call that is not made as the others are.
    pub(crate) fn line(&self) -> Grpc<Channel> {
        Grpc::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn refused(&self, status: &tonic::Status) -> ClientError {
        let error = ClientError::from_status(&self.address, status);
        let lineless = matches!(error, ClientError::Unreachable { .. } | ClientError::Strange { .. });
        self.fault.error(&self.address).filter(|_| lineless).unwrap_or(error)
    }
}

/// The operator's line to its own node, through a socket in the file system.
#[derive(Clone, Debug)]
pub struct Operator {
    path: String,
    client: OperatorServiceClient<Channel>,
}

impl Operator {
    /// Connects to a node's operator socket with a connector that opens it.
    pub fn over(path: &str, channel: Channel) -> Self {
        Self { path: path.into(), client: OperatorServiceClient::new(channel) }
    }

    /// How the node is, with a proof of its log's growth since a size; 0 for none.
    pub async fn status(&self, since_size: u64) -> Result<liaison_protocol::proto::GetStatusResponse, ClientError> {
        let request = liaison_protocol::proto::GetStatusRequest { since_size };
        let answer = self.client.clone().get_status(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| ClientError::from_status(&self.path, &status))
    }

    /// Asks it to read its files again; one line for each.
    pub async fn reload(&self) -> Result<Vec<String>, ClientError> {
        let answer = self.client.clone().reload(liaison_protocol::proto::ReloadRequest {}).await;
        let answer = answer.map_err(|status| ClientError::from_status(&self.path, &status))?;
        Ok(answer.into_inner().outcomes)
    }
}

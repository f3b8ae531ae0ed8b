//! The guard by itself, over a line that is played.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use tokio_util::sync::CancellationToken;
use tonic::Code;

/// A line with room for so many calls and bytes.
#[derive(Default)]
struct Played {
    end: CancellationToken,
    calls_left: AtomicUsize,
    bytes_left: AtomicUsize,
    now_ms: AtomicU64,
    cut: AtomicBool,
    freed: Arc<tokio::sync::Notify>,
}

fn why() -> Refusal {
    Refusal::new(Reason::Revoked, "by a test")
}

struct OnPlayed(Arc<Played>);

struct PlayedRoom(Arc<Played>, usize);

impl Room for PlayedRoom {
    fn resize(&mut self, bytes: usize) -> Result<(), &'static str> {
        let left = self.0.bytes_left.load(Relaxed) + self.1;
        let left = left.checked_sub(bytes).ok_or("bytes_per_owner")?;
        self.0.bytes_left.store(left, Relaxed);
        self.1 = bytes;
        self.0.freed.notify_waiters();
        Ok(())
    }

    fn freed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.0.freed.clone().notified_owned())
    }
}

impl Drop for PlayedRoom {
    fn drop(&mut self) {
        let _ = self.resize(0);
    }
}

impl OnLine for OnPlayed {
    fn name(&self) -> String {
        "partner FR, system ops-1".into()
    }

    fn ending(&self) -> Option<Refusal> {
        self.0.end.is_cancelled().then(why)
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = Refusal> + Send>> {
        let end = self.0.end.clone();
        Box::pin(async move {
            end.cancelled().await;
            why()
        })
    }

    fn call(&self) -> Result<Box<dyn Send>, &'static str> {
        let left = self.0.calls_left.load(Relaxed).checked_sub(1).ok_or("calls_per_owner")?;
        self.0.calls_left.store(left, Relaxed);
        Ok(Box::new(()))
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(PlayedRoom(self.0.clone(), 0))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.now_ms.load(Relaxed))
    }

    fn cut_slow_reader(&self) {
        self.0.cut.store(true, Relaxed);
    }
}

fn played(calls: usize, bytes: usize) -> Arc<Played> {
    let played = Played::default();
    played.calls_left.store(calls, Relaxed);
    played.bytes_left.store(bytes, Relaxed);
    Arc::new(played)
}

fn guard() -> Guard {
    timed(Arc::default())
}

fn timed(times: Arc<PlayedTimes>) -> Guard {
    Guard::new(
        |extensions| extensions.get::<Arc<Played>>().map(|line| Arc::new(OnPlayed(line.clone())) as _),
        times,
    )
}

/// Which calls were answered, by the length of their path, and how long they took.
#[derive(Default)]
struct PlayedTimes(Mutex<Vec<(usize, Duration)>>);

impl Times for PlayedTimes {
    fn method(&self, path: &str) -> usize {
        path.len()
    }

    fn answered(&self, method: usize, took: Duration) {
        self.0.lock().unwrap().push((method, took));
    }
}

/// Answers with these bytes, and then waits for ever.
#[derive(Clone)]
struct Streams(usize);

struct Endless(Option<Bytes>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, tonic::Status>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

impl Service<http::Request<Body>> for Streams {
    type Response = http::Response<Endless>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        std::future::ready(Ok(http::Response::new(Endless(Some(vec![7; self.0].into())))))
    }
}

/// A request as gRPC makes it.
fn request(body: Body) -> http::Request<Body> {
    http::Request::post("/").header("content-type", "application/grpc").body(body).unwrap()
}

async fn call(guard: &Guard, line: &Arc<Played>, bytes: usize) -> http::Response<Body> {
    let mut request = request(Body::empty());
    request.extensions_mut().insert(line.clone());
    guard.layer(Streams(bytes)).call(request).await.unwrap()
}

async fn frame(response: &mut http::Response<Body>) -> http_body::Frame<Bytes> {
    use http_body::Body as _;
    std::future::poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await.unwrap().unwrap()
}

fn refused(headers: &http::HeaderMap) -> (Code, String) {
    let status = tonic::Status::from_header_map(headers).unwrap();
    (status.code(), status.message().into())
}

#[tokio::test]
async fn fault_20_a_stream_ends_with_a_status_when_its_line_does_and_no_call_begins_after() {
    let (guard, line) = (guard(), played(9, 1 << 20));
    let mut response = call(&guard, &line, 10).await;
    assert_eq!(frame(&mut response).await.into_data().unwrap().len(), 10);
    line.end.cancel();
    let last = frame(&mut response).await.into_trailers().unwrap();
    assert_eq!(refused(&last), (Code::Unauthenticated, "REVOKED: by a test".into()));
    let next = call(&guard, &line, 10).await;
    assert_eq!(refused(next.headers()).0, Code::Unauthenticated);
}

#[tokio::test]
async fn fault_98_a_call_too_many_is_refused_with_the_limit_and_a_time_to_retry() {
    use tonic_types::StatusExt as _;
    let (guard, line) = (guard(), played(1, 1 << 20));
    let _first = call(&guard, &line, 10).await;
    let second = call(&guard, &line, 10).await;
    let status = tonic::Status::from_header_map(second.headers()).unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().metadata["limit"], "calls_per_owner");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn fault_99_an_answer_is_counted_until_it_is_taken() {
    let (guard, line) = (guard(), played(9, 200_000));
    let mut response = call(&guard, &line, 150_000).await;
    assert_eq!(frame(&mut response).await.into_data().unwrap().len(), 64 << 10);
    assert_eq!(line.bytes_left.load(Relaxed), 50_000);
    let mut other = call(&guard, &line, 150_000).await;
    let trailers = frame(&mut other).await.into_trailers().unwrap();
    assert_eq!(refused(&trailers).0, Code::ResourceExhausted);
    drop(response);
    assert_eq!(line.bytes_left.load(Relaxed), 200_000);
    let mut response = call(&guard, &line, 150_000).await;
    for length in [64 << 10, 64 << 10, 150_000 - (128 << 10)] {
        assert_eq!(frame(&mut response).await.into_data().unwrap().len(), length);
    }
    let mut polled = std::pin::pin!(frame(&mut response));
    assert!(futures_util::poll!(&mut polled).is_pending());
    assert_eq!(line.bytes_left.load(Relaxed), 200_000);
}

#[tokio::test]
async fn fault_99_who_takes_nothing_for_long_is_cut_and_who_waits_for_more_is_not() {
    let guard = guard();
    let (slow, idle) = (played(9, 1 << 20), played(9, 1 << 20));
    let (mut stalled, mut waiting) = (call(&guard, &slow, 100_000).await, call(&guard, &idle, 10).await);
    frame(&mut stalled).await;
    frame(&mut waiting).await;
    {
        let mut more = std::pin::pin!(frame(&mut waiting));
        assert!(futures_util::poll!(&mut more).is_pending());
    }
    let limit_ms = u64::try_from(STALL_MAX.as_millis()).unwrap();
    for (now_ms, cut) in [(limit_ms - 1, false), (limit_ms, true)] {
        slow.now_ms.store(now_ms, Relaxed);
        idle.now_ms.store(now_ms, Relaxed);
        guard.cut_stalled();
        assert_eq!((slow.cut.load(Relaxed), idle.cut.load(Relaxed)), (cut, false), "after {now_ms} ms");
    }
    drop((stalled, waiting));
    assert!(guard.answers.open().is_empty());
}

/// Reads a request to its end, and answers with how many bytes it had.
#[derive(Clone)]
struct Reads;

impl Service<http::Request<Body>> for Reads {
    type Response = http::Response<Endless>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        use http_body::Body as _;
        let mut body = request.into_body();
        Box::pin(async move {
            let mut bytes = 0;
            while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                bytes += frame.unwrap().into_data().unwrap().len();
            }
            Ok(http::Response::new(Endless(Some(vec![7; bytes].into()))))
        })
    }
}

/// A request that comes when it is sent.
struct Sent(tokio::sync::mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, tonic::Status>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

#[tokio::test]
async fn fault_42_a_request_waits_for_room_before_its_bytes_are_gathered() {
    let (guard, line) = (guard(), played(9, 100_000));
    let begin = || {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let mut request = request(Body::new(Sent(receiver)));
        request.extensions_mut().insert(line.clone());
        (sender, guard.layer(Reads).call(request))
    };
    let message = |length: u32| Bytes::from([&[0][..], &length.to_be_bytes(), &vec![7; length as usize]].concat());
    // One says that it will send 60,000 bytes, and has not sent them yet;
    let (slow, mut first) = begin();
    slow.send(message(60_000).slice(..10)).unwrap();
    assert!(futures_util::poll!(&mut first).is_pending());
    assert_eq!(line.bytes_left.load(Relaxed), 40_000);
    // another as large waits for it, and a small one does not.
    let (quick, mut second) = begin();
    quick.send(message(60_000).slice(..10)).unwrap();
    quick.send(message(60_000).slice(10..)).unwrap();
    drop(quick);
    assert!(futures_util::poll!(&mut second).is_pending());
    let (small, third) = begin();
    small.send(message(10)).unwrap();
    drop(small);
    assert_eq!(frame(&mut third.await.unwrap()).await.into_data().unwrap().len(), 15);
    assert!(futures_util::poll!(&mut second).is_pending());
    // When the first is whole, it is its turn.
    slow.send(message(60_000).slice(10..)).unwrap();
    drop(slow);
    assert_eq!(frame(&mut first.await.unwrap()).await.into_data().unwrap().len(), 60_005);
    assert_eq!(frame(&mut second.await.unwrap()).await.into_data().unwrap().len(), 60_005);
    assert_eq!(line.bytes_left.load(Relaxed), 100_000);
}

#[tokio::test]
async fn a_call_is_timed_when_it_is_answered_and_one_that_is_turned_away_is_not() {
    let (times, line) = (Arc::<PlayedTimes>::default(), played(1, 1 << 20));
    let guard = timed(times.clone());
    // The service answers after 7 ms of the line's own time.
    let later = line.clone();
    let service = tower::service_fn(move |_: http::Request<Body>| {
        later.now_ms.fetch_add(7, Relaxed);
        std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(Endless(None))))
    });
    let mut guarded = guard.layer(service);
    for _ in 0..2 {
        let mut request = request(Body::empty());
        *request.uri_mut() = "/liaison.v1.A/B".parse().unwrap();
        request.extensions_mut().insert(line.clone());
        guarded.call(request).await.unwrap();
    }
    assert_eq!(*times.0.lock().unwrap(), [("/liaison.v1.A/B".len(), Duration::from_millis(7))]);
}

/// Refuses as the library under us does: without a reason.
#[derive(Clone)]
struct Refuses(Code, bool);

struct Ends(Option<http::HeaderMap>);

impl http_body::Body for Ends {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, tonic::Status>>> {
        Poll::Ready(self.0.take().map(|trailers| Ok(http_body::Frame::trailers(trailers))))
    }
}

impl Service<http::Request<Body>> for Refuses {
    type Response = http::Response<Ends>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let status = tonic::Status::new(self.0, "as it is");
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let mut response = http::Response::new(Ends(self.1.then(|| headers.clone())));
        if !self.1 {
            *response.headers_mut() = headers;
        }
        std::future::ready(Ok(response))
    }
}

fn reason(headers: &http::HeaderMap) -> Option<String> {
    use tonic_types::StatusExt as _;
    Some(tonic::Status::from_header_map(headers)?.get_details_error_info()?.reason)
}

#[tokio::test]
async fn every_status_has_a_reason_whoever_made_it() {
    for (code, expected) in [
        (Code::Unimplemented, Some("UNKNOWN_METHOD")),
        (Code::NotFound, Some("NOT_FOUND")),
        (Code::OutOfRange, Some("TOO_LARGE")),
        (Code::ResourceExhausted, Some("TOO_LARGE")),
        (Code::Internal, Some("MALFORMED")),
        (Code::InvalidArgument, Some("MALFORMED")),
        (Code::Unknown, Some("DEFECT")),
        // They tell of the line.
        (Code::Cancelled, None),
        (Code::DeadlineExceeded, None),
    ] {
        for trailing in [false, true] {
            let (guard, line) = (guard(), played(9, 1 << 20));
            let mut request = request(Body::empty());
            request.extensions_mut().insert(line.clone());
            let mut response = guard.layer(Refuses(code, trailing)).call(request).await.unwrap();
            let found = match trailing {
                false => reason(response.headers()),
                true => reason(&frame(&mut response).await.into_trailers().unwrap()),
            };
            assert_eq!(found.as_deref(), expected, "{code:?}, {trailing}");
        }
    }
}

#[tokio::test]
async fn what_is_no_grpc_or_is_compressed_is_refused_before_it_is_read() {
    let build = |method: &str, kind: &str, encoding: &str| {
        let request = http::Request::builder().method(method).uri("/");
        let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
        let request = if encoding.is_empty() { request } else { request.header("grpc-encoding", encoding) };
        request.body(Body::empty()).unwrap()
    };
    for (method, kind, encoding, http) in [
        ("POST", "application/grpc", "", None),
        ("POST", "application/grpc+proto", "identity", None),
        ("POST", "Application/gRPC; x=y", "", None),
        ("POST", "application/grpc", "gzip", Some(200)),
        ("POST", "application/grpc", "zstd", Some(200)),
        ("POST", "", "", Some(415)),
        ("POST", "text/plain", "", Some(415)),
        ("POST", "application/json", "", Some(415)),
        ("POST", "application/grpc+json", "", Some(415)),
        ("POST", "application/grpc-web", "", Some(415)),
        ("GET", "application/grpc", "", Some(405)),
        ("OPTIONS", "", "", Some(405)),
    ] {
        let (guard, line) = (guard(), played(9, 1 << 20));
        let mut request = build(method, kind, encoding);
        request.extensions_mut().insert(line.clone());
        let response = guard.layer(Streams(1)).call(request).await.unwrap();
        let refused = reason(response.headers()).map(|reason| (reason, response.status().as_u16()));
        assert_eq!(refused, http.map(|http| ("NOT_SPOKEN".into(), http)), "{method} {kind} {encoding}");
    }
}

//! The guard by itself, over a line that is played.

use super::*;
use crate::shutdown::Shutdown;
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
        Ok(())
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
    Guard::new(|extensions| extensions.get::<Arc<Played>>().map(|line| Arc::new(OnPlayed(line.clone())) as _))
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

async fn call(guard: &Guard, line: &Arc<Played>, bytes: usize) -> http::Response<Body> {
    let mut request = http::Request::new(Body::empty());
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
    drop(other);
    // The played room gives nothing back when dropped; a taken answer does.
    let line = played(9, 200_000);
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

/// Reads a request to its end or its error.
#[derive(Clone)]
struct Reads;

impl Service<http::Request<Body>> for Reads {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        use http_body::Body as _;
        let mut body = request.into_body();
        Box::pin(async move {
            while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                if let Err(status) = frame {
                    return Ok(status.into_http());
                }
            }
            Ok(http::Response::new(Body::empty()))
        })
    }
}

#[tokio::test]
async fn fault_42_a_request_that_is_never_whole_is_held_within_the_partners_bytes() {
    let shutdown = Shutdown::new(Arc::new(crate::clock::SystemClock::new()));
    let (guard, line) = (guard(), played(9, 100_000));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    struct Slow(tokio::sync::mpsc::Receiver<Bytes>);
    impl http_body::Body for Slow {
        type Data = Bytes;
        type Error = tonic::Status;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, tonic::Status>>> {
            self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
        }
    }
    shutdown.spawn("sends", async move {
        // The head of a message of a megabyte, and then as much of it as is taken.
        let _ = sender.send(Bytes::from_static(&[0, 0, 16, 0, 0])).await;
        while sender.send(vec![7; 16 << 10].into()).await.is_ok() {}
    });
    let mut request = http::Request::new(Body::new(Slow(receiver)));
    request.extensions_mut().insert(line.clone());
    let response = guard.layer(Reads).call(request).await.unwrap();
    assert_eq!(refused(response.headers()).0, Code::ResourceExhausted);
    assert_eq!(shutdown.drain(Duration::from_secs(10)).await, Ok(()));
}

//! HTTP/2 to the origin: gRPC with its trailers, shared connections, and origins that misbehave in frames.

use super::*;
use ::h2::Reason;
use ::h2::server::{Connection, SendResponse};
use futures_util::stream::BoxStream;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

type Messages = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// An origin that speaks HTTP/2 with prior knowledge, and a gateway that asks it so.
async fn http2_origin() -> (TcpListener, Gateway) {
    let (listener, service) = origin().await;
    let http2 = OriginRequest { http2_origin: true, ..OriginRequest::default() };
    (listener, Gateway::with(&service, http2))
}

/// The origin's end of the next connection.
async fn accept(listener: &TcpListener) -> Connection<TcpStream, Bytes> {
    let (stream, _) = listener.accept().await.unwrap();
    ::h2::server::handshake(stream).await.unwrap()
}

/// The next request on a connection, which goes on in the background.
fn requests(
    mut connection: Connection<TcpStream, Bytes>,
) -> mpsc::Receiver<(Request<::h2::RecvStream>, SendResponse<Bytes>)> {
    let (sender, receiver) = mpsc::channel(10);
    spawn_local(async move {
        while let Some(Ok(request)) = connection.accept().await {
            let _nobody_asks = sender.send(request).await;
        }
    });
    receiver
}

/// A call whose messages are sent one by one.
fn call(path: &str) -> (mpsc::Sender<Frame<Bytes>>, Request<Messages>) {
    let (sender, mut frames) = mpsc::channel(10);
    let body = futures_util::stream::poll_fn(move |cx| {
        frames.poll_recv(cx).map(|frame| frame.map(Ok::<_, Infallible>))
    });
    let uri = format!("https://app.example.com{path}");
    let request = Request::builder().method(Method::POST).uri(uri).header("te", "trailers");
    let request = request.header("content-type", "application/grpc");
    (sender, request.body(StreamBody::new(Box::pin(body) as BoxStream<'static, _>)).unwrap())
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(code))])
}

fn grpc() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

#[test]
fn messages_go_both_ways_and_the_trailers_arrive() {
    story(async || {
        let (listener, gateway) = http2_origin().await;
        let mut client = gateway.http2().await;
        let (messages, request) = call("/app.Chat/Talk");
        let answer = spawn_local(async move { client.send_request(request).await.unwrap() });
        let mut requests = requests(accept(&listener).await);
        let (request, mut respond) = requests.recv().await.unwrap();
        let (head, mut body) = request.into_parts();
        assert_eq!(head.uri.to_string(), "http://app.example.com/app.Chat/Talk");
        assert_eq!(head.headers["te"], "trailers");
        assert_eq!(head.headers.get("host"), None);
        assert_eq!(head.headers["cf-ray"], "0123456789abcdef");
        let mut stream = respond.send_response(grpc(), false).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        for message in ["one", "two"] {
            messages.send(Frame::data(message.into())).await.unwrap();
            let arrived = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(arrived.len()).unwrap();
            stream.send_data(arrived, false).unwrap();
            assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), message);
        }
        messages.send(Frame::trailers(status("9"))).await.unwrap();
        drop(messages);
        while let Some(end) = body.data().await {
            assert_eq!(end.unwrap(), "");
        }
        assert_eq!(body.trailers().await.unwrap(), None, "nobody judged the client's trailers");
        stream.send_trailers(status("0")).unwrap();
        let trailers = answer.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers, status("0"));
        assert!(answer.frame().await.is_none());
    });
}

#[test]
fn a_call_may_fail_with_its_head() {
    story(async || {
        let (listener, gateway) = http2_origin().await;
        let mut client = gateway.http2().await;
        let (_messages, request) = call("/app.Chat/Unknown");
        let answer = spawn_local(async move { client.send_request(request).await.unwrap() });
        let mut requests = requests(accept(&listener).await);
        let (_request, mut respond) = requests.recv().await.unwrap();
        let mut refusal = grpc();
        refusal.headers_mut().extend(status("12"));
        respond.send_response(refusal, true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "12");
        assert!(answer.into_body().frame().await.is_none());
    });
}

#[test]
fn requests_at_once_share_a_connection() {
    story(async || {
        let (listener, gateway) = http2_origin().await;
        let asked: Vec<_> = (0..10)
            .map(|_| {
                let gateway = gateway.clone();
                spawn_local(async move { gateway.ask(get("/")).await.2 })
            })
            .collect();
        let mut requests = requests(accept(&listener).await);
        let mut waiting = Vec::new();
        for _ in 0..10 {
            waiting.push(requests.recv().await.unwrap());
        }
        for (_, mut respond) in waiting {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("ok".into(), true).unwrap();
        }
        for answer in asked {
            assert_eq!(answer.await.unwrap(), "ok");
        }
    });
}

#[test]
fn rule_17_a_client_that_leaves_ends_its_own_call_only() {
    story(async || {
        let (listener, gateway) = http2_origin().await;
        let mut client = gateway.http2().await;
        let (messages, request) = call("/app.Chat/Talk");
        let (_others, other_request) = call("/app.Chat/Other");
        let sent = client.send_request(request);
        let answer = spawn_local(async move { sent.await.unwrap() });
        let mut requests = requests(accept(&listener).await);
        let (_request, mut respond) = requests.recv().await.unwrap();
        let sent = client.send_request(other_request);
        let other = spawn_local(async move { sent.await.unwrap() });
        let (_other_request, mut other_respond) = requests.recv().await.unwrap();
        let mut stream = respond.send_response(grpc(), false).unwrap();
        drop(answer.await.unwrap());
        drop(messages);
        let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
        assert_eq!(reset, Reason::CANCEL);
        other_respond.send_response(grpc(), true).unwrap();
        assert_eq!(other.await.unwrap().status(), StatusCode::OK);
    });
}

#[test]
fn w5_a_call_ends_when_its_caller_is_revoked() {
    story(async || {
        let (listener, gateway) = http2_origin().await;
        let mut client = gateway.http2().await;
        let (_messages, request) = call("/app.Chat/Talk");
        let answer = spawn_local(async move { client.send_request(request).await.unwrap() });
        let mut requests = requests(accept(&listener).await);
        let (request, mut respond) = requests.recv().await.unwrap();
        let mut stream = respond.send_response(grpc(), false).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        gateway.revoke();
        assert!(answer.frame().await.unwrap().is_err());
        assert!(request.into_body().data().await.unwrap().is_err(), "the upload is given up");
        std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
    });
}

#[test]
fn n19_frames_that_end_a_request_are_its_own_affair() {
    story(async || {
        let (listener, gateway) = http2_origin().await;
        for reason in [Reason::INTERNAL_ERROR, Reason::ENHANCE_YOUR_CALM, Reason::HTTP_1_1_REQUIRED]
        {
            let asking = gateway.clone();
            let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
            let mut requests = requests(accept(&listener).await);
            let (_request, mut respond) = requests.recv().await.unwrap();
            respond.send_reset(reason);
            assert_eq!(asked.await.unwrap(), StatusCode::BAD_GATEWAY);
            let error = gateway.error();
            assert!(matches!(error, UpstreamError::BadAnswer { .. }), "{reason:?}: {error:?}");

            let asking = gateway.clone();
            let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
            let (_request, mut respond) = requests.recv().await.unwrap();
            respond.send_response(Response::new(()), true).unwrap();
            assert_eq!(asked.await.unwrap(), StatusCode::OK, "the connection goes on");
            drop(requests);
            gateway.upstreams.roads.sweep(0, |_| 0);
            gateway.upstreams.roads.sweep(1, |_| 0);
        }
    });
}

#[test]
fn n19_a_connection_that_is_going_away_gets_no_new_requests() {
    story(async || {
        let (listener, gateway) = http2_origin().await;
        let asking = gateway.clone();
        let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
        let mut connection = accept(&listener).await;
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        connection.graceful_shutdown();
        spawn_local(async move { while connection.accept().await.is_some() {} });
        assert_eq!(asked.await.unwrap(), StatusCode::OK);
        let road = gateway.upstreams.roads.find(&gateway.origin, 0).unwrap();
        while road.carrier_at_hand().is_some() {
            tokio::task::yield_now().await;
        }
        let asked = spawn_local(async move { gateway.ask(get("/")).await.0 });
        let (_request, mut respond) = requests(accept(&listener).await).recv().await.unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        assert_eq!(asked.await.unwrap(), StatusCode::OK);
    });
}

#[test]
fn n19_an_origin_that_does_not_speak_http2() {
    for said in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "garbage, and much more of it, in no frame",
    ] {
        story(async || {
            let (listener, gateway) = http2_origin().await;
            let asking = gateway.clone();
            let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            assert_eq!(asked.await.unwrap(), StatusCode::BAD_GATEWAY);
            let error = gateway.error();
            assert!(matches!(error, UpstreamError::BadAnswer { .. }), "{error:?}");
        });
    }
}

//! The plain HTTP listener: sends every request for a host of ours to https, and nothing else. Cookies are `Secure`,
//! so nothing can be decided here (access-protocol §3.1).

use crate::handshake::client_address;
use crate::lane::Lane;
use crate::pulse::Watched;
use crate::slots::Slot;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use narthex_model::{Authority, CanonicalPath};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpStream;

/// Answers one request and closes. The whole takes no longer than a head may.
pub(crate) async fn serve_plain(lane: Rc<Lane>, mut tcp: TcpStream, from: SocketAddr, slot: Slot) {
    let patience = lane.common.limits.head_time;
    let story = async {
        client_address(&lane, &mut tcp, from.ip()).await.ok()?; // only to get past a PROXY header
        let service = service_fn(|request| {
            let response = redirect(&lane, &request);
            async move { Ok::<_, Infallible>(response) }
        });
        let mut builder = http1::Builder::new();
        builder.keep_alive(false).header_read_timeout(None).half_close(false);
        builder.serve_connection(TokioIo::new(Watched::new(tcp, slot)), service).await.ok()
    };
    drop(tokio::time::timeout(patience, story).await);
}

fn redirect<B>(lane: &Lane, request: &Request<B>) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let location = location(lane, request);
    *response.status_mut() = match (&location, request.method()) {
        (None, _) => StatusCode::BAD_REQUEST,
        (Some(_), &Method::GET | &Method::HEAD) => StatusCode::MOVED_PERMANENTLY,
        (Some(_), _) => StatusCode::PERMANENT_REDIRECT,
    };
    if let Some(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The same address over https, for one unambiguous host that this gateway answers for.
fn location<B>(lane: &Lane, request: &Request<B>) -> Option<HeaderValue> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, None) = (hosts.next()?, hosts.next()) else { return None };
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    if let Some(inner) = request.uri().authority()
        && inner.as_str().parse::<Authority>().ok()? != authority
    {
        return None;
    }
    let world = lane.world();
    if !world.snapshot.knows_host(&authority.host) {
        return None;
    }
    let asked = request.uri().path_and_query()?;
    let path = CanonicalPath::of(asked.path()).ok()?;
    let query = asked.query().map(|query| format!("?{query}")).unwrap_or_default();
    let team = world.snapshot.premises.team.authority().port;
    let port = lane.common.https_port.or(team).filter(|port| *port != 443);
    let authority = Authority { host: authority.host, port };
    HeaderValue::try_from(format!("https://{authority}{path}{query}")).ok()
}

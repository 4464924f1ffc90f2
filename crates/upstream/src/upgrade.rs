//! WebSockets and other upgrades: the decision once, then bytes both ways.
//!
//! A client asks by `Upgrade` over HTTP/1.1 or by extended CONNECT over HTTP/2 (RFC 8441); the origin is always
//! asked by `Upgrade` (RFC 9110 §7.8). Nothing a client sends before the origin agrees is forwarded: it stays in
//! the connection's buffer until both sides have switched (checklist W2).

mod splice;
mod tunnel;
mod websocket;

use crate::body::ProxyBody;
use crate::connect::Wire;
use crate::transform::clean_answer;
use crate::vigil::Watch;
use crate::{Patience, UpstreamError};
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use narthex_http1::Upgraded;
use narthex_model::RayId;
use splice::splice;
pub use tunnel::{Tunnel, TunnelOffer};
use websocket::Key;

/// An upgrade that a client asks for.
pub(crate) struct Ask {
    /// The protocols, as they stand in `Upgrade`; none of them an HTTP.
    protocols: String,
    /// Of a WebSocket: what the origin has to prove that it read.
    key: Option<Key>,
    client: Client,
}

/// The client's side, once it has switched.
enum Client {
    /// What becomes of an HTTP/1.1 connection.
    Connection(OnUpgrade),
    /// What becomes of a stream of an HTTP/2 connection.
    Stream(TunnelOffer),
}

impl Ask {
    /// Reads the wish to upgrade out of a request, before the hop-by-hop fields are removed. `h2c` is not granted:
    /// the request stays what it is (checklist H33). So is an upgrade on a request with a body.
    ///
    /// # Errors
    /// `BadUpgrade` when it asks for a WebSocket in a way that RFC 6455 §4.1 does not know.
    pub(crate) fn of(
        parts: &mut Parts,
        websocket_over_http2: bool,
        bodiless: bool,
    ) -> Result<Option<Self>, UpstreamError> {
        let bad = |what| Err(UpstreamError::BadUpgrade(what));
        if websocket_over_http2 {
            let Some(client) = parts.extensions.remove::<TunnelOffer>() else {
                return bad("the stream cannot become a tunnel");
            };
            parts.headers.remove(SEC_WEBSOCKET_KEY);
            parts.headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            let key = Some(Key::random());
            let client = Client::Stream(client);
            return Ok(Some(Self { protocols: "websocket".into(), key, client }));
        }
        let protocols = protocols(&parts.headers);
        if protocols.is_empty()
            || !has_token(&parts.headers, &CONNECTION, "upgrade")
            || parts.version != Version::HTTP_11
            || !bodiless
        {
            return Ok(None);
        }
        let Some(client) = parts.extensions.remove::<OnUpgrade>() else { return Ok(None) };
        let mut key = None;
        if protocols.iter().any(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
            if parts.method != Method::GET {
                return bad("a WebSocket begins with GET");
            }
            let mut keys = parts.headers.get_all(SEC_WEBSOCKET_KEY).iter();
            key = keys.next().and_then(Key::of);
            if key.is_none() || keys.next().is_some() {
                return bad("Sec-WebSocket-Key is not 16 bytes in base64, once");
            }
        }
        let client = Client::Connection(client);
        Ok(Some(Self { protocols: protocols.join(", "), key, client }))
    }

    fn is_over_http2(&self) -> bool {
        match self.client {
            Client::Stream(_) => true,
            Client::Connection(_) => false,
        }
    }

    /// Writes the wish into the request for the origin.
    pub(crate) fn write(&self, method: &mut Method, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(protocols) = HeaderValue::from_str(&self.protocols) {
            headers.insert(UPGRADE, protocols);
        }
        if let Some(key) = self.key.as_ref().filter(|_| self.is_over_http2()) {
            *method = Method::GET;
            headers.insert(SEC_WEBSOCKET_KEY, key.value());
        }
    }

    /// Whether the origin's 101 is an answer to this wish (checklist W3).
    fn is_granted_by(&self, headers: &HeaderMap) -> Result<(), UpstreamError> {
        let refuse = |reason| Err(UpstreamError::bad_answer(reason));
        let mut chosen = headers.get_all(UPGRADE).iter();
        let (Some(protocol), None) = (chosen.next(), chosen.next()) else {
            return refuse("its 101 does not name one protocol");
        };
        let asked = |protocol: &HeaderValue| {
            self.protocols
                .split(", ")
                .any(|p| protocol.as_bytes().eq_ignore_ascii_case(p.as_bytes()))
        };
        if !asked(protocol) || !has_token(headers, &CONNECTION, "upgrade") {
            return refuse("its 101 is for a protocol that was not asked for");
        }
        let Some(key) = &self.key else { return Ok(()) };
        let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        match (accepts.next(), accepts.next()) {
            (Some(accept), None) if key.is_accepted_by(accept) => Ok(()),
            (_, _) => refuse("its Sec-WebSocket-Accept does not belong to the key"),
        }
    }
}

/// The origin agreed: answers the client, and joins both when the client's side has switched too. Both may be silent
/// for as long as a stream may.
///
/// # Errors
/// `BadAnswer` when the 101 does not belong to what was asked.
pub(crate) fn switch(
    ask: Ask,
    answer: &HeaderMap,
    origin: Upgraded<Wire>,
    watch: Watch,
    (ray, patience): (&RayId, Patience),
) -> Result<Response<ProxyBody>, UpstreamError> {
    ask.is_granted_by(answer)?;
    let mut switched = Response::new(ProxyBody::Empty);
    *switched.headers_mut() = answer.clone();
    let protocol = switched.headers_mut().remove(UPGRADE);
    clean_answer(switched.headers_mut(), ray);
    switched.headers_mut().remove(CONTENT_LENGTH);
    if ask.is_over_http2() {
        switched.headers_mut().remove(SEC_WEBSOCKET_ACCEPT); // RFC 8441 §5: 200 says it all
    } else {
        *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        switched.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        switched.headers_mut().extend(protocol.map(|protocol| (UPGRADE, protocol)));
    }
    let is_websocket = ask.key.is_some();
    tokio::task::spawn_local(async move {
        match ask.client {
            Client::Connection(client) => {
                let Ok(client) = client.await else { return };
                watch.allow(patience.stream);
                splice(TokioIo::new(client), origin, watch, patience, is_websocket).await;
            }
            Client::Stream(client) => {
                let Some(client) = client.tunnel().await else { return };
                watch.allow(patience.stream);
                splice(client, origin, watch, patience, is_websocket).await;
            }
        }
    });
    Ok(switched)
}

/// The origin answered something else than 101: that answer is for the client, and the client's connection ends with
/// it, because bytes of the other protocol may already be on their way.
///
/// # Errors
/// `BadAnswer` for a success that would look like a tunnel to an HTTP/2 client.
pub(crate) fn refused(
    ask: &Ask,
    mut answer: Response<ProxyBody>,
) -> Result<Response<ProxyBody>, UpstreamError> {
    if !ask.is_over_http2() {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    } else if answer.status().is_success() {
        return Err(UpstreamError::bad_answer(
            "it answers a WebSocket request with something else",
        ));
    }
    Ok(answer)
}

/// The protocols that a request would like, but for other versions of HTTP and TLS.
fn protocols(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    let tokens = values.flat_map(|value| value.split(',')).map(str::trim);
    let transport = |token: &str| {
        let token = token.to_ascii_lowercase();
        ["h2c", "h2", "http/", "tls/"].iter().any(|own| token.starts_with(own))
    };
    tokens.filter(|token| !token.is_empty() && !transport(token)).map(str::to_owned).collect()
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut tokens = value.as_bytes().split(|b| *b == b',');
        tokens.any(|t| t.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_of_http_are_no_upgrade() {
        for (sent, left) in [
            (&["websocket"][..], "websocket"),
            (&["h2c"], ""),
            (&["h2c, websocket"], "websocket"),
            (&["HTTP/2.0, TLS/1.2"], ""),
            (&["foo/1", "bar"], "foo/1, bar"),
            (&[", ,"], ""),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(UPGRADE, HeaderValue::from_static(value));
            }
            assert_eq!(protocols(&headers).join(", "), left, "{sent:?}");
        }
    }
}

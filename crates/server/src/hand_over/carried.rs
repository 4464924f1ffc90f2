//! Errands on their way to another process, and their answers on the way back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use narthex_model::{AppId, Authority, CertificateHolder, CountryCode, RayId};
use narthex_proxy::{Errand, Site, Visitor};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Which of the gateway's own sites; as [`Site`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CarriedSite {
    Team,
    Admin,
    App,
    FormToKeep,
    KeptForm,
}

/// A request that the gateway answers itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CarriedErrand {
    site: CarriedSite,
    method: String,
    uri: String,
    fields: Vec<(String, String)>,
    body: String,
    ip: IpAddr,
    country: Option<CountryCode>,
    ray: RayId,
    host: Authority,
    path: String,
    app: Option<AppId>,
    certificate: Option<CertificateHolder>,
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CarriedAnswer {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

/// What arrived is not what this program sends.
#[derive(Debug, thiserror::Error)]
#[error("the other process of the gateway sent what is no HTTP message")]
pub(crate) struct NoMessage;

impl CarriedErrand {
    /// Packs an errand, and hands back where its answer is waited for.
    pub(crate) fn pack(errand: Errand) -> (Self, oneshot::Sender<Response<Bytes>>) {
        let Errand { site, request, visitor, reply } = errand;
        let Visitor { ip, country, ray, host, path, app, certificate } = visitor;
        let site = match site {
            Site::Team => CarriedSite::Team,
            Site::Admin => CarriedSite::Admin,
            Site::App => CarriedSite::App,
            Site::FormToKeep => CarriedSite::FormToKeep,
            Site::KeptForm => CarriedSite::KeptForm,
        };
        let packed = Self {
            site,
            method: request.method().to_string(),
            uri: request.uri().to_string(),
            fields: pack(request.headers()),
            body: STANDARD.encode(request.body()),
            ip,
            country,
            ray,
            host,
            path,
            app,
            certificate: certificate.map(Arc::unwrap_or_clone),
        };
        (packed, reply)
    }

    /// Unpacks it; the answer comes out of the receiver.
    ///
    /// # Errors
    /// [`NoMessage`] when it was not packed here.
    pub(crate) fn unpack(self) -> Result<(Errand, oneshot::Receiver<Response<Bytes>>), NoMessage> {
        let site = match self.site {
            CarriedSite::Team => Site::Team,
            CarriedSite::Admin => Site::Admin,
            CarriedSite::App => Site::App,
            CarriedSite::FormToKeep => Site::FormToKeep,
            CarriedSite::KeptForm => Site::KeptForm,
        };
        let body = STANDARD.decode(&self.body).map_err(|_| NoMessage)?;
        let request = Request::builder().method(self.method.as_str()).uri(&self.uri);
        let mut request = request.body(Bytes::from(body)).map_err(|_| NoMessage)?;
        *request.headers_mut() = unpack(self.fields)?;
        let visitor = Visitor {
            ip: self.ip,
            country: self.country,
            ray: self.ray,
            host: self.host,
            path: self.path,
            app: self.app,
            certificate: self.certificate.map(Arc::new),
        };
        let (reply, told) = oneshot::channel();
        Ok((Errand { site, request, visitor, reply }, told))
    }
}

impl CarriedAnswer {
    pub(crate) fn pack(answer: &Response<Bytes>) -> Self {
        Self {
            status: answer.status().as_u16(),
            fields: pack(answer.headers()),
            body: STANDARD.encode(answer.body()),
        }
    }

    /// Unpacks it.
    ///
    /// # Errors
    /// [`NoMessage`] when it was not packed here.
    pub(crate) fn unpack(self) -> Result<Response<Bytes>, NoMessage> {
        let body = STANDARD.decode(&self.body).map_err(|_| NoMessage)?;
        let answer = Response::builder().status(self.status).body(Bytes::from(body));
        let mut answer = answer.map_err(|_| NoMessage)?;
        *answer.headers_mut() = unpack(self.fields)?;
        Ok(answer)
    }
}

/// Values are bytes, so they travel in base64.
fn pack(fields: &HeaderMap) -> Vec<(String, String)> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), STANDARD.encode(value.as_bytes()))
    };
    fields.iter().map(field).collect()
}

fn unpack(fields: Vec<(String, String)>) -> Result<HeaderMap, NoMessage> {
    let mut unpacked = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let value = STANDARD.decode(value).map_err(|_| NoMessage)?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| NoMessage)?;
        unpacked.append(name.parse::<HeaderName>().map_err(|_| NoMessage)?, value);
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    fn errand() -> Errand {
        let mut request = Request::post("/cdn-cgi/access/callback?state=a%20b")
            .body(Bytes::from_static(b"\x00code=\xff"))
            .unwrap();
        for value in [&b"a=1"[..], b"b=\xe4"] {
            request.headers_mut().append(header::COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        let certificate =
            CertificateHolder { cert_serial: "0A".to_owned(), ..CertificateHolder::default() };
        let visitor = Visitor {
            ip: "2001:db8::1".parse().unwrap(),
            country: Some("CH".to_owned().try_into().unwrap()),
            ray: "0123456789abcdef".parse().unwrap(),
            host: "team.example.com:8443".parse().unwrap(),
            path: "/cdn-cgi/access/callback".to_owned(),
            app: Some("9a4bd9c5-5a0e-4d52-9d1f-0d2b00000001".parse().unwrap()),
            certificate: Some(Arc::new(certificate)),
        };
        Errand { site: Site::FormToKeep, request, visitor, reply: oneshot::channel().0 }
    }

    #[test]
    fn an_errand_arrives_as_it_was_sent() {
        let (packed, _reply) = CarriedErrand::pack(errand());
        let text = serde_json::to_vec(&packed).unwrap();
        let packed: CarriedErrand = serde_json::from_slice(&text).unwrap();
        let (arrived, _told) = packed.unpack().unwrap();
        let (want, shown) = (errand(), |errand: &Errand| {
            format!("{:?} {:?} {:?}", errand.site, errand.request, errand.visitor)
        });
        assert_eq!(shown(&arrived), shown(&want));
    }

    #[test]
    fn an_answer_arrives_as_it_was_sent_and_nonsense_does_not() {
        let mut answer = Response::builder().status(302).header("location", "/x");
        for cookie in ["a=1; Secure", "b=2"] {
            answer = answer.header(header::SET_COOKIE, cookie);
        }
        let answer = answer.body(Bytes::from_static(b"<p>\xf0")).unwrap();
        let text = serde_json::to_vec(&CarriedAnswer::pack(&answer)).unwrap();
        let packed: CarriedAnswer = serde_json::from_slice(&text).unwrap();
        assert_eq!(format!("{:?}", packed.unpack().unwrap()), format!("{answer:?}"));
        for nonsense in [
            r#"{"status":7,"fields":[],"body":""}"#,
            r#"{"status":200,"fields":[["a b",""]],"body":""}"#,
            r#"{"status":200,"fields":[["a","Cg=="]],"body":""}"#,
            r#"{"status":200,"fields":[],"body":"?"}"#,
        ] {
            let packed: CarriedAnswer = serde_json::from_str(nonsense).unwrap();
            assert!(packed.unpack().is_err(), "{nonsense}");
        }
    }
}

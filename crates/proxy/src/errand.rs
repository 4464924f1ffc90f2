//! Requests that the gateway answers itself, on their way to the control side and back.
//!
//! The control side runs on a runtime of its own behind a bounded queue. When the queue is full the answer is 503 at
//! once: a slow database must not hold up the road.

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use narthex_model::{AppId, Authority, CertificateHolder, CountryCode, RayId};
use narthex_upstream::ClientBody;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Which of the gateway's own sites a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Site {
    /// The team domain.
    Team,
    /// The admin host.
    Admin,
    /// `/cdn-cgi/access/` on an application's host.
    App,
    /// A form for an application that came without a session, to be kept while its sender logs in. The answer is 201
    /// with the cookie by which the browser finds it again, or anything else when it is not kept.
    FormToKeep,
    /// A short POST that stands for a kept form, from somebody whom the policies admit. The answer is 200 with the
    /// form's `Content-Type`, `Referer` and body, or else the page for the client.
    KeptForm,
}

/// What the data path knows of the request beyond its bytes.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The client's address.
    pub ip: IpAddr,
    /// Its country, if a database says so.
    pub country: Option<CountryCode>,
    /// The request's id.
    pub ray: RayId,
    /// Host and port that were asked for, canonical.
    pub host: Authority,
    /// The canonical path.
    pub path: String,
    /// The application: with a form the one it is for; on [`Site::App`] the one that the host's root belongs to, if
    /// there is one.
    pub app: Option<AppId>,
    /// The client certificate that the connection showed, if it is trusted on this host.
    pub certificate: Option<Arc<CertificateHolder>>,
}

/// The queues to the control side. Administration has one of its own, so that a crowd that logs in does not keep an
/// administrator out.
#[derive(Clone, Debug)]
pub struct Control {
    /// For [`Site::Admin`].
    pub admin: mpsc::Sender<Errand>,
    /// For all other sites.
    pub pages: mpsc::Sender<Errand>,
}

impl Control {
    /// The queue for errands of `site`.
    #[must_use]
    pub fn queue(&self, site: Site) -> &mpsc::Sender<Errand> {
        match site {
            Site::Admin => &self.admin,
            Site::Team | Site::App | Site::FormToKeep | Site::KeptForm => &self.pages,
        }
    }
}

/// One request for the control side. Dropping `reply` answers 500: whoever took the errand has failed.
#[derive(Debug)]
pub struct Errand {
    /// Which site.
    pub site: Site,
    /// The request: path and query canonical, body whole.
    pub request: Request<Bytes>,
    /// Who asks.
    pub visitor: Visitor,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Response<Bytes>>,
}

/// Why the control side gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRun {
    /// The body is larger than the site takes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body broke off or came too slowly.
    #[error("the body did not arrive whole")]
    Body,
    /// The queue is full, or nobody takes from it.
    #[error("the control side is busy or gone")]
    Busy,
    /// It was taken and dropped: its handler failed.
    #[error("the control side failed while it worked on this; this is a bug")]
    Failed,
    /// No answer in time.
    #[error("the control side did not answer within {0:?}")]
    Silent(Duration),
}

/// Hands a request over and waits for the answer, `patience` long.
pub(crate) async fn run(
    control: &Control,
    site: Site,
    request: Request<ClientBody>,
    visitor: Visitor,
    most: usize,
    patience: Duration,
) -> Result<Response<Bytes>, NotRun> {
    // A place in the queue is taken before the body is read, so that overload costs nobody an upload.
    let place = control.queue(site).try_reserve().map_err(|_| NotRun::Busy)?;
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, whole(body, most).await?);
    deliver(place, site, request, visitor, patience).await
}

/// The same with a body that is here already.
pub(crate) async fn run_whole(
    control: &Control,
    site: Site,
    request: Request<Bytes>,
    visitor: Visitor,
    patience: Duration,
) -> Result<Response<Bytes>, NotRun> {
    let place = control.queue(site).try_reserve().map_err(|_| NotRun::Busy)?;
    deliver(place, site, request, visitor, patience).await
}

async fn deliver(
    place: mpsc::Permit<'_, Errand>,
    site: Site,
    request: Request<Bytes>,
    visitor: Visitor,
    patience: Duration,
) -> Result<Response<Bytes>, NotRun> {
    let (reply, answer) = oneshot::channel();
    place.send(Errand { site, request, visitor, reply });
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => Err(NotRun::Failed),
        Err(_) => Err(NotRun::Silent(patience)),
    }
}

/// The body in one piece.
pub(crate) async fn whole(mut body: ClientBody, most: usize) -> Result<Bytes, NotRun> {
    let expected = body.size_hint().lower();
    if expected > most as u64 {
        return Err(NotRun::TooLarge(most));
    }
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|_| NotRun::Body)?.into_data().unwrap_or_default();
        if gathered.len() + data.len() > most {
            return Err(NotRun::TooLarge(most));
        }
        gathered.extend_from_slice(&data);
    }
    Ok(gathered.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor() -> Visitor {
        Visitor {
            ip: "10.0.0.1".parse().unwrap(),
            country: None,
            ray: "0123456789abcdef".parse().unwrap(),
            host: "access.test".parse().unwrap(),
            path: "/".to_owned(),
            app: None,
            certificate: None,
        }
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once() {
        let (pages, mut errands) = mpsc::channel(1);
        let (admin, mut calls) = mpsc::channel(1);
        let control = Control { admin, pages };
        let ask = || {
            let request = Request::new(ClientBody::Empty);
            run(&control, Site::Team, request, visitor(), 10, Duration::from_secs(5))
        };
        let first = tokio::spawn({
            let control = control.clone();
            async move {
                let request = Request::new(ClientBody::Empty);
                let patience = Duration::from_secs(5);
                run(&control, Site::Team, request, visitor(), 10, patience)
                    .await
                    .map(|r| r.status())
            }
        });
        while errands.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask().await.map(|_| ()), Err(NotRun::Busy));
        let administer = {
            let (control, request) = (control.clone(), Request::new(ClientBody::Empty));
            async move {
                let patience = Duration::from_secs(5);
                run(&control, Site::Admin, request, visitor(), 10, patience)
                    .await
                    .map(|r| r.status())
            }
        };
        let administer = tokio::spawn(administer);
        let call = calls.recv().await.unwrap();
        call.reply.send(Response::new(Bytes::new())).unwrap();
        assert_eq!(administer.await.unwrap(), Ok(http::StatusCode::OK), "has a queue of its own");
        let errand = errands.recv().await.unwrap();
        errand.reply.send(Response::new(Bytes::new())).unwrap();
        assert_eq!(first.await.unwrap(), Ok(http::StatusCode::OK));
        drop(errands);
        assert_eq!(ask().await.map(|_| ()), Err(NotRun::Busy));
    }
}

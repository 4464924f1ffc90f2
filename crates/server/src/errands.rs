//! Errands: requests that the gateway answers itself, carried from the data path to the portal and the API.
//!
//! Queues and the number of errands under way are bounded: a thousand people logging in, or a slow database, do not slow
//! a single proxied request (design §3). The administration API has a queue and places of its own, so that a crowd at the
//! login does not keep an administrator from revoking somebody (security rule 19).

use crate::hand_over::{Ask, CarriedErrand, Elder, Reply};
use crate::pen::{Holder, Pen};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use narthex_api::{Api, Caller};
use narthex_portal::{Portal, Visit};
use narthex_proxy::{Errand, Site, Visitor};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;

/// Who answers what.
#[derive(Clone)]
pub(crate) struct Desks {
    /// The team domain and the gateway's paths on application hosts.
    pub(crate) portal: Arc<Portal>,
    /// The admin host.
    pub(crate) api: Arc<Api>,
    /// Whether this process may do it.
    pub(crate) pen: Arc<Pen>,
    /// Who has to know of what was done before it is answered.
    pub(crate) elder: Elder,
}

/// Runs the errands of one queue, `at_once` at the most, until every sender is gone.
pub(crate) async fn run(mut queue: Receiver<Errand>, at_once: usize, desks: Desks) {
    let places = Arc::new(Semaphore::new(at_once));
    while let Some(errand) = queue.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let desks = desks.clone();
        tokio::spawn(async move {
            let _place = place;
            desks.answer(errand).await;
        });
    }
}

impl Desks {
    async fn answer(&self, errand: Errand) {
        let pen = self.pen.holder().await;
        let line = match &*pen {
            Holder::Us => return self.run(errand).await,
            Holder::Successor(line) => line.clone(),
        };
        drop(pen);
        let (packed, reply) = CarriedErrand::pack(errand);
        let answer = match line.ask(Ask::Errand(Box::new(packed))).await {
            Some(Reply::Answer(answer)) => answer.unpack().unwrap_or_else(|_| come_back()),
            Some(Reply::Done | Reply::Failed(_)) | None => come_back(),
        };
        let _gone = reply.send(answer);
    }

    /// Does it here.
    async fn run(&self, errand: Errand) {
        let cut = self.pen.cut();
        let Errand { site, request, visitor, mut reply } = errand;
        let answer = async {
            let answer = match site {
                Site::Team => self.portal.team(visit(visitor), request).await,
                Site::App => self.portal.app_path(visit(visitor), request).await,
                Site::FormToKeep => self.portal.keep_form(visit(visitor), request).await,
                Site::KeptForm => self.portal.kept_form(visit(visitor), request).await,
                Site::Admin => {
                    self.api.answer(Caller { ip: visitor.ip, ray: visitor.ray }, request).await
                }
            };
            self.elder.settle().await;
            answer
        };
        // Work is cancelled when its client is gone (security rule 17); a panic costs this request alone.
        tokio::select! {
            response = answer => { let _ = reply.send(response); }
            () = reply.closed() => {}
            () = cut => { let _ = reply.send(come_back()); }
        }
    }
}

/// For who came while one process handed over to another: nothing was done, and a new connection reaches the new process.
fn come_back() -> Response<Bytes> {
    let text = "The gateway is being updated. Please try again.\n";
    let mut answer = Response::new(Bytes::from_static(text.as_bytes()));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().extend([
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::RETRY_AFTER, HeaderValue::from_static("1")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    answer
}

fn visit(visitor: Visitor) -> Visit {
    let Visitor { ip, country, ray, host, path, app, certificate } = visitor;
    Visit { ip, country, ray, host, path, app, certificate }
}

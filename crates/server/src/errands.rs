//! Errands: requests that the gateway answers itself, carried from the data path to the portal and the API.
//!
//! Queues and the number of errands under way are bounded: a thousand people logging in, or a slow database, do not slow
//! a single proxied request (design §3). The administration API has a queue and places of its own, so that a crowd at the
//! login does not keep an administrator from revoking somebody (security rule 19).

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
        let Errand { site, request, visitor, mut reply } = errand;
        let answer = async {
            match site {
                Site::Team => self.portal.team(visit(visitor), request).await,
                Site::App => self.portal.app_path(visit(visitor), request).await,
                Site::FormToKeep => self.portal.keep_form(visit(visitor), request).await,
                Site::KeptForm => self.portal.kept_form(visit(visitor), request).await,
                Site::Admin => {
                    self.api.answer(Caller { ip: visitor.ip, ray: visitor.ray }, request).await
                }
            }
        };
        // Work is cancelled when its client is gone (security rule 17); a panic costs this request alone.
        tokio::select! {
            response = answer => { let _ = reply.send(response); }
            () = reply.closed() => {}
        }
    }
}

fn visit(visitor: Visitor) -> Visit {
    let Visitor { ip, country, ray, host, path, app, certificate } = visitor;
    Visit { ip, country, ray, host, path, app, certificate }
}

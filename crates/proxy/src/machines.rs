//! The application tokens that origins get for machines. They are minted here, on the data path, because a machine
//! never visits the team domain; and kept, because a signature costs a hundred times what a request costs.

use crate::bearer::Bearer;
use crate::client_certificate::Judged;
use crate::world::World;
use hashbrown::HashMap;
use narthex_model::{AppId, UnixSeconds};
use narthex_snapshot::{App, Live};
use narthex_token::{AppToken, CertificateThumbprint, MachineToken};
use std::cell::RefCell;
use std::rc::Rc;

/// Tokens kept at most; callers are bounded by the configuration's service tokens already.
const MOST: usize = 4096;

type Minted = HashMap<Box<str>, Rc<Bearer>>;

/// One core's minted machine tokens: by application and policy, then by Client ID or certificate.
#[derive(Default)]
pub(crate) struct Machines {
    minted: RefCell<HashMap<(AppId, usize), Minted>>,
}

/// What spoke for a machine.
#[derive(Clone, Copy)]
pub(crate) enum Machine<'a> {
    /// A service token, by its Client ID.
    Token(&'a str),
    /// A client certificate.
    Certificate(&'a Judged),
    /// Only the network that it is in.
    Network,
}

impl<'a> Machine<'a> {
    /// Tells machines apart: a fingerprint is never a Client ID.
    fn key(self) -> &'a str {
        match self {
            Self::Token(client_id) => client_id,
            Self::Certificate(judged) => judged.holder().map_or("", |it| &it.fingerprint_sha256),
            Self::Network => "",
        }
    }

    fn common_name(self) -> &'a str {
        match self {
            Self::Token(client_id) => client_id,
            Self::Certificate(judged) => {
                judged.holder().and_then(|holder| holder.common_name.as_deref()).unwrap_or_default()
            }
            Self::Network => "",
        }
    }

    fn thumbprint(self) -> Option<CertificateThumbprint> {
        match self {
            Self::Certificate(judged) => judged.thumbprint(),
            Self::Token(_) | Self::Network => None,
        }
    }
}

impl Machines {
    /// A token that says `machine` was admitted to `app` by the policy at `policy`, with at least half of its life
    /// ahead. One for a certificate is bound to it.
    pub(crate) fn token(
        &self,
        world: &World,
        live: &Live,
        app: &App,
        policy: usize,
        machine: Machine<'_>,
        now: UnixSeconds,
    ) -> Option<Rc<Bearer>> {
        let key = (app.id(), policy);
        let fresh = |bearer: &Rc<Bearer>| {
            let (iat, exp) = (bearer.token().iat(), bearer.token().exp());
            now.since(iat) * 2 <= exp.since(iat) && bearer.is_in_force(live, now)
        };
        let known = self.minted.borrow().get(&key).and_then(|t| t.get(machine.key())).cloned();
        if let Some(bearer) = known.filter(fresh) {
            return Some(bearer);
        }
        let iat = live.revocations.issue_time(app.aud(), now);
        let exp = iat.plus(app.session_seconds(Some(policy)));
        let aud = app.aud().clone();
        let token = MachineToken {
            aud,
            common_name: machine.common_name().to_owned(),
            certificate: machine.thumbprint(),
            iat,
            exp,
        };
        let jwt = world.snapshot.keys.mint(&token);
        let bearer = Rc::new(Bearer::new(AppToken::Machine(token), jwt.into())?);
        let mut minted = self.minted.borrow_mut();
        if minted.values().map(HashMap::len).sum::<usize>() >= MOST {
            minted.clear();
        }
        minted.entry(key).or_default().insert(machine.key().into(), Rc::clone(&bearer));
        Some(bearer)
    }

    /// Forgets all: the configuration has changed, and with it how long tokens live.
    pub(crate) fn clear(&self) {
        self.minted.borrow_mut().clear();
    }
}

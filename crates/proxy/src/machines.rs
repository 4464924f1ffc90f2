//! The application tokens that origins get for machines. They are minted here, on the data path, because a machine
//! never visits the team domain; and kept, because a signature costs a hundred times what a request costs.

use crate::bearer::Bearer;
use crate::world::World;
use hashbrown::HashMap;
use narthex_model::{AppId, UnixSeconds};
use narthex_snapshot::{App, Live};
use narthex_token::{AppToken, MachineToken};
use std::cell::RefCell;
use std::rc::Rc;

/// Tokens kept at most; callers are bounded by the configuration's service tokens already.
const MOST: usize = 4096;

type Minted = HashMap<Box<str>, Rc<Bearer>>;

/// One core's minted machine tokens: by application and policy, then by common name.
#[derive(Default)]
pub(crate) struct Machines {
    minted: RefCell<HashMap<(AppId, usize), Minted>>,
}

impl Machines {
    /// A token that says `common_name` was admitted to `app` by the policy at `policy`, with at least half of its
    /// life ahead. `common_name` is a service token's Client ID, or empty where only the network spoke for the caller.
    pub(crate) fn token(
        &self,
        world: &World,
        live: &Live,
        app: &App,
        policy: usize,
        common_name: &str,
        now: UnixSeconds,
    ) -> Option<Rc<Bearer>> {
        let key = (app.id(), policy);
        let fresh = |bearer: &Rc<Bearer>| {
            let (iat, exp) = (bearer.token().iat(), bearer.token().exp());
            now.since(iat) * 2 <= exp.since(iat) && bearer.is_in_force(live, now)
        };
        let known = self.minted.borrow().get(&key).and_then(|t| t.get(common_name)).cloned();
        if let Some(bearer) = known.filter(fresh) {
            return Some(bearer);
        }
        let iat = live.revocations.issue_time(app.aud(), now);
        let exp = iat.plus(app.session_seconds(Some(policy)));
        let aud = app.aud().clone();
        let token =
            MachineToken { aud, common_name: common_name.to_owned(), certificate: None, iat, exp };
        let jwt = world.snapshot.keys.mint(&token);
        let bearer = Rc::new(Bearer::new(AppToken::Machine(token), jwt.into())?);
        let mut minted = self.minted.borrow_mut();
        if minted.values().map(HashMap::len).sum::<usize>() >= MOST {
            minted.clear();
        }
        minted.entry(key).or_default().insert(common_name.into(), Rc::clone(&bearer));
        Some(bearer)
    }

    /// Forgets all: the configuration has changed, and with it how long tokens live.
    pub(crate) fn clear(&self) {
        self.minted.borrow_mut().clear();
    }
}

//! Counts of admitted requests: who, which application, by which policy, from where. Requests admitted again write
//! nothing on the road; the control side folds these counts into the store (design §3, "The life of a record").

use crate::bearer::Bearer;
use crate::permit::Ground;
use crate::source::Source;
use hashbrown::{Equivalent, HashMap};
use narthex_model::{
    AppId, CountryCode, PolicyId, Timestamp, TrafficCount, TrafficKey, UnixSeconds,
};
use narthex_snapshot::App;
use narthex_token::AppToken;
use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

/// Keys counted apart on one core; what comes beyond is counted under one key of its application, or one of each
/// machine there.
const MOST_KEYS: usize = 10_000;

/// One count. Shared with the memos of connections, so that counting there is an addition.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    requests: Cell<u64>,
    first: Cell<UnixSeconds>,
    last: Cell<UnixSeconds>,
}

impl Counter {
    /// Counts one request.
    pub(crate) fn count(&self, now: UnixSeconds) {
        if self.requests.get() == 0 {
            self.first.set(now);
        }
        self.requests.set(self.requests.get() + 1);
        self.last.set(now);
    }
}

/// One core's counts.
#[derive(Default)]
pub(crate) struct Traffic {
    counts: RefCell<HashMap<Key, Rc<Counter>>>,
}

/// The parts of a key that are hashed and compared, without owning the caller's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Circumstances {
    app: AppId,
    policy: Option<PolicyId>,
    network: IpAddr,
    country: Option<CountryCode>,
}

struct Key {
    circumstances: Circumstances,
    caller: Caller,
}

/// `sub` of a person, Client ID of a machine, or nobody.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Caller {
    Nobody,
    Person(narthex_model::UserId),
    Machine(Box<str>),
}

/// The same, borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum CallerRef<'a> {
    Nobody,
    Person(narthex_model::UserId),
    Machine(&'a str),
}

impl Caller {
    fn borrow(&self) -> CallerRef<'_> {
        match self {
            Self::Nobody => CallerRef::Nobody,
            Self::Person(user) => CallerRef::Person(*user),
            Self::Machine(client) => CallerRef::Machine(client),
        }
    }
}

impl CallerRef<'_> {
    /// Whom a full table counts. Machines are few and keep their name: that one was used must never go unnoticed.
    fn in_a_crowd(self) -> Self {
        match self {
            Self::Machine(client) => Self::Machine(client),
            Self::Nobody | Self::Person(_) => Self::Nobody,
        }
    }

    fn to_owned(self) -> Caller {
        match self {
            Self::Nobody => Caller::Nobody,
            Self::Person(user) => Caller::Person(user),
            Self::Machine(client) => Caller::Machine(client.into()),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.circumstances == other.circumstances && self.caller == other.caller
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.circumstances.hash(state);
        self.caller.borrow().hash(state);
    }
}

#[derive(Hash)]
struct KeyRef<'a> {
    circumstances: Circumstances,
    caller: CallerRef<'a>,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.circumstances == key.circumstances && self.caller == key.caller.borrow()
    }
}

impl Traffic {
    /// Where a request of this caller under these circumstances is counted.
    pub(crate) fn counter(
        &self,
        app: &App,
        ground: Ground,
        bearer: Option<&Bearer>,
        source: &Source,
    ) -> Rc<Counter> {
        let policy = match ground {
            Ground::Person(at) | Ground::Machine(at) | Ground::Bypass(at) => {
                app.policies.policy(at)
            }
            Ground::Preflight | Ground::Unmatched => None,
        };
        let policy = policy.map(|policy| policy.id());
        let (network, country) = (network(source.ip), source.country);
        let caller = match bearer.map(Bearer::token) {
            None => CallerRef::Nobody,
            Some(AppToken::Person(token)) => CallerRef::Person(token.sub),
            Some(AppToken::Machine(token)) => CallerRef::Machine(&token.common_name),
        };
        let circumstances = Circumstances { app: app.id(), policy, network, country };
        let mut key = KeyRef { circumstances, caller };
        let mut counts = self.counts.borrow_mut();
        if counts.len() >= MOST_KEYS && !counts.contains_key(&key) {
            let network = network_of_all(network);
            let circumstances = Circumstances { app: app.id(), policy, network, country: None };
            key = KeyRef { circumstances, caller: caller.in_a_crowd() };
        }
        if let Some(counter) = counts.get(&key) {
            return Rc::clone(counter);
        }
        let counter = Rc::new(Counter::default());
        let key = Key { circumstances: key.circumstances, caller: key.caller.to_owned() };
        counts.insert(key, Rc::clone(&counter));
        counter
    }

    /// Takes the counts since the last fold.
    pub(crate) fn fold(&self) -> Vec<TrafficCount> {
        let mut folded = Vec::new();
        self.counts.borrow_mut().retain(|key, counter| {
            let requests = counter.requests.take();
            if requests > 0 {
                folded.push(TrafficCount {
                    key: key.to_model(),
                    requests,
                    first: Timestamp(counter.first.get()),
                    last: Timestamp(counter.last.get()),
                });
            }
            requests > 0 || Rc::strong_count(counter) > 1
        });
        folded
    }
}

impl Key {
    fn to_model(&self) -> TrafficKey {
        let Circumstances { app, policy, network, country } = self.circumstances;
        let caller = match &self.caller {
            Caller::Nobody => String::new(),
            Caller::Person(user) => user.to_string(),
            Caller::Machine(client) => client.to_string(),
        };
        let network = match network {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED) => String::new(),
            IpAddr::V4(network) => format!("{network}/24"),
            IpAddr::V6(network) => format!("{network}/48"),
        };
        TrafficKey { app, caller, policy, network, country }
    }
}

/// The /24 of an IPv4 address, the /48 of an IPv6 address.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !(u128::MAX >> 48)).into(),
    }
}

/// Stands for every network.
fn network_of_all(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_coarse() {
        for (ip, want) in
            [("203.0.113.77", "203.0.113.0"), ("2001:db8:1:2:3::4", "2001:db8:1::"), ("::1", "::")]
        {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(network(ip).to_string(), want);
        }
    }

    #[test]
    fn a_full_table_still_tells_machines_apart() {
        let person = CallerRef::Person(narthex_model::UserId::random());
        let machine = CallerRef::Machine("a.access");
        for (caller, counted) in [
            (machine, machine),
            (person, CallerRef::Nobody),
            (CallerRef::Nobody, CallerRef::Nobody),
        ] {
            assert!(caller.in_a_crowd() == counted);
        }
    }

    #[test]
    fn a_borrowed_key_finds_the_owned_one() {
        let circumstances = Circumstances {
            app: AppId::random(),
            policy: None,
            network: network("10.1.2.3".parse().unwrap()),
            country: None,
        };
        let mut counts = HashMap::<Key, u32>::new();
        counts.insert(Key { circumstances, caller: Caller::Machine("a.access".into()) }, 7);
        let find = |caller| counts.get(&KeyRef { circumstances, caller }).copied();
        assert_eq!(find(CallerRef::Machine("a.access")), Some(7));
        assert_eq!(find(CallerRef::Machine("b.access")), None);
        assert_eq!(find(CallerRef::Nobody), None);
    }
}

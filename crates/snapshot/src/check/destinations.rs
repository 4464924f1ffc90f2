//! Where applications live: in our zones, not on our own hosts, and no two in one place.

use crate::{Fault, FaultAt};
use narthex_model::{
    AppId, Application, Configuration, Destination, HostPattern, Hostname, PathPattern, Premises,
};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

pub(super) fn check(app: &Application, premises: &Premises) -> Result<(), Fault> {
    let at = FaultAt::App(app.id);
    if app.destinations.is_empty() {
        return Err(Fault::invalid(
            at,
            "/destinations",
            "a self_hosted application needs a domain or a public destination",
        ));
    }
    for (place, destination) in app.destinations.iter().enumerate() {
        let invalid = |message: String| {
            Err(Fault::invalid(at, format!("/destinations/{place}/uri"), message))
        };
        if !belongs_to_zone(destination, premises) {
            return invalid(format!(
                "domain does not belong to zone: {:?} lies in none of the zones of the configuration file",
                destination.as_str()
            ));
        }
        if let Some(own) = destination.host.exact().filter(|host| is_own(host, premises)) {
            return invalid(format!("{own} is the gateway itself and cannot be an application"));
        }
        if destination.path.literal_prefix().starts_with("/cdn-cgi") {
            return invalid("paths below /cdn-cgi are answered by the gateway itself".to_owned());
        }
    }
    Ok(())
}

/// Without zones in the configuration file, every name is ours.
fn belongs_to_zone(destination: &Destination, premises: &Premises) -> bool {
    let suffix: Result<Hostname, _> = destination.host.fixed_suffix().parse();
    premises.zones.is_empty() || suffix.is_ok_and(|name| premises.zone_of(&name).is_some())
}

fn is_own(host: &Hostname, premises: &Premises) -> bool {
    host == premises.team.host() || premises.admin.as_ref().is_some_and(|a| a.host == *host)
}

/// No two applications have the same destination, however it is spelled. Later applications are at fault.
pub(super) fn unique(configuration: &Configuration) -> Result<(), Fault> {
    let mut apps: Vec<_> = configuration.apps.values().collect();
    apps.sort_by_key(|app| (app.created_at, app.id));
    let mut owners: HashMap<(&HostPattern, &PathPattern), AppId> = HashMap::new();
    for app in apps {
        for (place, destination) in app.destinations.iter().enumerate() {
            match owners.entry((&destination.host, &destination.path)) {
                Entry::Occupied(owner) if *owner.get() != app.id => {
                    return Err(Fault::duplicate(
                        FaultAt::App(app.id),
                        format!("/destinations/{place}/uri"),
                        format!(
                            "destination belongs to another application: {:?} is a destination of {}",
                            destination.as_str(),
                            owner.get()
                        ),
                    ));
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => {
                    free.insert(app.id);
                }
            }
        }
    }
    Ok(())
}

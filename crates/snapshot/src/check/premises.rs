//! The configuration file beside itself.

use crate::{Fault, FaultAt};
use narthex_model::Premises;

pub(crate) fn check(premises: &Premises) -> Result<(), Fault> {
    let fault =
        |pointer: String, message: String| Err(Fault::invalid(FaultAt::Premises, pointer, message));
    if let Some(admin) = &premises.admin
        && admin.host == *premises.team.host()
    {
        return fault(
            "/admin/host".to_owned(),
            format!("{} is the team domain; give the admin host a name of its own", admin.host),
        );
    }
    for (at, zone) in premises.zones.iter().enumerate() {
        let earlier = premises.zones.iter().take(at);
        if earlier.clone().any(|other| other.name == zone.name) {
            return fault(
                format!("/zone/{at}/name"),
                format!("zone {} stands here twice", zone.name),
            );
        }
        if earlier.clone().any(|other| other.id == zone.id) {
            return fault(
                format!("/zone/{at}/id"),
                format!("zone id {} stands here twice", zone.id),
            );
        }
    }
    Ok(())
}

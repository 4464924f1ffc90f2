//! What a configuration must hold to be put in force (api/README "Value rules"). Each check names the object, the
//! place in it and the remedy. References between policies and groups are checked where they are compiled.

mod account;
mod application;
pub(crate) mod certificates;
mod destinations;
mod premises;
mod text;

use crate::Fault;
use narthex_model::{Configuration, Premises};
pub(crate) use premises::check as premises;

/// Checks everything that can be said without compiling policies.
pub(crate) fn everything(premises: &Premises, configuration: &Configuration) -> Result<(), Fault> {
    premises::check(premises)?;
    if let Some(organization) = &configuration.organization {
        account::organization(organization, premises)?;
    }
    account::identity_providers(configuration)?;
    account::service_tokens(configuration)?;
    account::policies_and_groups(configuration)?;
    for app in configuration.apps.values() {
        application::check(app, configuration)?;
        destinations::check(app, premises)?;
    }
    application::unique_auds(configuration)?;
    destinations::unique(configuration)
}

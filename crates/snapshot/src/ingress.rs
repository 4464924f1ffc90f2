//! Which origin answers a request: the first `[[ingress]]` entry whose hostname and path match.

use narthex_model::IngressRule;

/// An origin and how to speak to it.
#[derive(Debug)]
pub struct Origin {
    /// The entry of the configuration file.
    pub rule: IngressRule,
    /// Its place there; stable within one snapshot only.
    pub index: usize,
}

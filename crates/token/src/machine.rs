//! The application token of a service token or a client certificate (seed 003, access-protocol §5.3).

use narthex_model::{AudTag, UnixSeconds};

/// Type `app` with an empty `sub`: admits a machine to one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineToken {
    /// The application.
    pub aud: AudTag,
    /// The service token's Client ID, or the common name of the client certificate.
    pub common_name: String,
    /// When it was issued.
    pub iat: UnixSeconds,
    /// From this instant on it is refused.
    pub exp: UnixSeconds,
}

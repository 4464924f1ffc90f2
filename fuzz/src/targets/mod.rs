//! The targets, a file each.

pub(crate) mod answers;
pub(crate) mod api;
pub(crate) mod certificate;
pub(crate) mod claims;
pub(crate) mod config;
pub(crate) mod cookies;
pub(crate) mod documents;
pub(crate) mod jwks;
pub(crate) mod ocsp;
pub(crate) mod path;
mod pki;
pub(crate) mod policy;
pub(crate) mod portal;
pub(crate) mod redirect;
pub(crate) mod revocation_list;
pub(crate) mod saml;
mod team;
pub(crate) mod token;

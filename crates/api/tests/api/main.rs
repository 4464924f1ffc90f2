//! The administration API over the real store: a file per resource, whole bodies compared (api/README).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod applications;
mod authentication;
mod certificates;
mod desk;
mod gateway;
mod groups;
mod identity_providers;
mod inactivity;
mod keys;
mod logs;
mod memory;
mod organizations;
mod policies;
mod premises;
mod service_tokens;
mod users;

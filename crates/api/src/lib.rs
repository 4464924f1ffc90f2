//! The administration API, a file per resource.

//! The data path, socket to application.

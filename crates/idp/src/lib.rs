//! Begins and finishes a login somewhere else.

//! Configuration compiled into one immutable table that is swapped whole.

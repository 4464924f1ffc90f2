//! Origins: connections, pools and what is spoken over them.

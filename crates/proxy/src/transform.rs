//! The request that an origin gets: fields removed, then added from the permit.

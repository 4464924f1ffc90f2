//! Whole stories: what a person, a browser or a script sees of a running gateway.

//! Reads settings, wires the parts, publishes snapshots, shuts down.

//! What this crate promises to the rest, tried from outside.

#[cfg(test)]
mod at_the_origin;
#[cfg(test)]
mod forge;
#[cfg(test)]
mod hostile_tokens;
#[cfg(test)]
mod key_rotation;
#[cfg(test)]
mod one_spelling;
#[cfg(test)]
mod origin_keys;
#[cfg(test)]
mod other_verifiers;

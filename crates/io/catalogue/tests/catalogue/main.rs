//! What the crate promises, on shipped data, hand-written catalogues and hostile bytes.

// `cfg(test)` is always on here; it tells clippy that functions beside the tests may unwrap too.
#[cfg(test)]
mod formats;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod shipped;

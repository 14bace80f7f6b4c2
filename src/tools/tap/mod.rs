//! `signpost tap`: queries one by one, as they are answered or as the recorder has kept them.

mod args;
mod show;
#[cfg(test)]
mod tests;

pub use args::TapArgs;
pub(super) use args::tap;

//! Zones of texts.

mod model;
mod texts;

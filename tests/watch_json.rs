//! Lists and watches against an API server that speaks JSON only: what tests/watch.rs asks of one that speaks protobuf.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod harness;

#[path = "watch/chance.rs"]
mod chance;
#[path = "watch/converge.rs"]
mod converge;
#[path = "watch/gone.rs"]
mod gone;
#[path = "watch/load.rs"]
mod load;
#[path = "watch/objects.rs"]
mod objects;
#[path = "watch/start.rs"]
mod start;
#[path = "watch/truth.rs"]
mod truth;
#[allow(dead_code, reason = "not all of tests/watch is here")]
#[path = "watch/world.rs"]
mod world;

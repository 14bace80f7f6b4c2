//! Tests of the server on a network in memory.

//! Policies and messages.

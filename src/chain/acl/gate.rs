//! The rules for steps that answer before `acl` has its turn: `local`, `any` and `chaos` stand in front of it (rule S-01).

use std::sync::Arc;

use super::WORD;
use super::parse::read;
use super::rules::Acl;
use crate::chain::asked::Asked;
use crate::chain::build::Draft;
use crate::chain::step::{Context, Flow};
use crate::corefile::Error;

/// The rules of a block, if it has any.
#[derive(Clone, Default)]
pub(in crate::chain) struct Gate(Option<Arc<Acl>>);

impl Gate {
    /// The gate of the block that is read; its `acl` lines are read now, wherever they stand.
    pub(in crate::chain) fn of(draft: &mut Draft<'_>) -> Result<Self, Error> {
        if draft.acl.is_none() && draft.block.all(WORD).next().is_some() {
            draft.acl = Some(Arc::new(read(draft)?));
        }
        Ok(Self(draft.acl.clone()))
    }

    /// Asked by a step that is about to answer: what is said instead, to a client that may not ask this.
    pub(in crate::chain) fn turn_away(&self, asked: &Asked, context: &Context<'_>) -> Option<Flow> {
        self.0.as_ref()?.turn_away(asked, context)
    }

    /// The rules.
    pub(super) fn acl(&self) -> Option<Arc<Acl>> {
        self.0.clone()
    }
}

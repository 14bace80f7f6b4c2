//! The line's text.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::super::build::Draft;
use super::super::kubernetes::{Options, PodMode};
use super::step::{Autopath, List};
use crate::corefile::{Directive, Error, Location};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "autopath";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
autopath [ZONES…] @kubernetes
autopath [ZONES…] RESOLV-CONF";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "walks the search list of a client for it, so that one query finds a name outside of the cluster";

/// Where the server's own search list stands.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// A line that waits for the `kubernetes` of its block.
pub(in crate::chain) struct PendingSearch {
    /// Where the line is.
    at: Location,
    /// Where its step finds the stanza.
    stanza: Arc<OnceLock<Arc<Options>>>,
}

impl PendingSearch {
    /// Gives the step its stanza, unless that can't tell who asks.
    pub(in crate::chain) fn join(self, options: &Arc<Options>, draft: &mut Draft<'_>) {
        if options.pods == PodMode::Verified {
            // Nobody else sets it.
            let _ = self.stanza.set(options.clone());
            return;
        }
        draft.warnings.push(format!(
            "{}: `autopath @kubernetes` has nothing to do: who asks is only known with `pods verified` in `kubernetes`",
            self.at
        ));
    }

    /// There is no such stanza.
    pub(in crate::chain) fn alone(self, draft: &mut Draft<'_>) {
        draft.warnings.push(format!(
            "{}: `autopath @kubernetes` has nothing to do: there is no `kubernetes` in this block",
            self.at
        ));
    }
}

/// Reads the line.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    let args = directive.expect_args(1..=usize::MAX)?;
    let Some((source, zones)) = args.split_last() else { return Ok(()) };
    let mut named = Vec::new();
    for arg in zones {
        named.extend(arg.zones()?);
    }
    let zones = if named.is_empty() { draft.zones() } else { named };
    let list = if let Some(step) = source.text.strip_prefix('@') {
        if step != "kubernetes" {
            return Err(source
                .error(format!("`{}` gives no search list", source.text))
                .hint("write `@kubernetes`, or a file such as /etc/resolv.conf"));
        }
        let stanza: Arc<OnceLock<Arc<Options>>> = Arc::default();
        draft.searches.push(PendingSearch { at: directive.word.at.clone(), stanza: stanza.clone() });
        // A server without that file has no search list of its own.
        let own = draft.parts.search_list(Path::new(RESOLV_CONF)).unwrap_or_default();
        List::Kubernetes { stanza, own }
    } else {
        let list = draft.parts.search_list(Path::new(&source.text));
        let list = list.map_err(|fault| source.error(format!("{}: {fault}", source.text)))?;
        if list.is_empty() {
            draft.warnings.push(format!(
                "{}: `autopath` has nothing to do: {} has no search list",
                directive.word.at, source.text
            ));
        }
        List::Fixed(list)
    };
    let completions = draft.parts.completions();
    draft.steps.push(Box::new(Autopath { zones, list, completions }));
    Ok(())
}

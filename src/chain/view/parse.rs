//! The stanza's text, and the view that comes of it.

use std::sync::Arc;

use crate::chain::asked::Asked;
use crate::chain::build::Draft;
use crate::chain::expression::{Facts, Names, Test, read, read_line, text_of};
use crate::chain::plan::{Chain, Listener};
use crate::chain::step::{Context, Flow, Step};
use crate::corefile::{Directive, Error};
use crate::wire::Question;

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "view";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
view NAME {
    expr EXPRESSION
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "has the block serve only queries for which every EXPRESSION is true: incidr(client_ip(), '10.0.0.0/8')";

/// The label under which the name is published.
const LABEL: &str = "view/name";

/// Reads the stanza.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    draft.once(directive)?;
    let name = directive.only_arg()?.text.clone();
    let mut text = name.clone();
    let mut tests = Vec::new();
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "expr" => {
                let (test, expression) = expression(line)?;
                if test.asks_metadata() && draft.metadata.is_empty() {
                    draft.warnings.push(format!(
                        "{}: `metadata()` is empty without the word `metadata` in this block",
                        line.word.at
                    ));
                }
                tests.push(test);
                text.push('\n');
                text.push_str(&expression);
            }
            _ => return Err(line.word.unknown("an option of `view`", &["expr"])),
        }
    }
    let view = Arc::new(View { name, text, tests });
    draft.view = Some(view.clone());
    draft.steps.push(Box::new(ViewStep(view)));
    Ok(())
}

/// Reads one `expr`.
fn expression(line: &Directive) -> Result<(Test, String), Error> {
    let args = line.expect_args(1..=usize::MAX)?;
    let test = read_line(line, args, |text| read(text, &Names::default()))?;
    Ok((test, text_of(args)))
}

/// For which queries a block is.
#[derive(Debug)]
pub struct View {
    /// Its name.
    name: String,
    /// Name and expressions, which tell it from others.
    text: String,
    /// What must be true of a query.
    tests: Vec<Test>,
}

impl View {
    /// Its name, as metrics print it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name and expressions: equal for views that admit the same queries.
    pub(in crate::chain) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a question of this query is for the block whose chain is `chain`.
    ///
    /// Cost: allocates where an expression compares names or texts; not for addresses in networks and for numbers.
    pub(in crate::chain) fn admits(
        &self,
        asked: &Asked,
        question: &Question,
        listener: &Listener,
        chain: &Chain,
    ) -> bool {
        let facts = Facts::of(asked, question, listener, chain);
        self.tests.iter().all(|test| test.holds(&facts) == Some(true))
    }
}

/// The step: it lets everything pass, since the choice was made before, and tells the name.
struct ViewStep(Arc<View>);

impl Step for ViewStep {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn metadata(&self, _: &Asked, label: &str) -> Option<String> {
        (label == LABEL).then(|| self.0.name.clone())
    }
}

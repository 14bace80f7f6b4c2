//! What is made from the words and the flags: docs/corefile.md.

use crate::golden;

#[test]
fn the_reference_of_the_corefile_is_that_of_the_words() {
    golden("docs/corefile.md", &signpost::tools::reference());
}

//! The reference of the Corefile, made of the words themselves: docs/corefile.md.

use crate::chain::{Support, WORDS};

/// What stands above the words.
const HEAD: &str = "\
# The Corefile, word by word

Made from the words in `src/chain/`: a test compares this page with them, and `UPDATE_GOLDEN=1 cargo test --test tools` writes it
anew. `signpost -plugins` prints the same on a terminal, and `signpost check Corefile` says what a file would do.

Words stand here in the order of the chain, which is fixed: the order of lines in a block has no influence, except among lines of
one word. What each word answers, rule by rule: [behaviour.md](behaviour.md). Server blocks, keys, snippets, `import` and
`{$VARIABLES}` are those of CoreDNS (rules S-01 and S-02).
";

/// The page.
#[must_use]
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Served\n");
    for word in WORDS {
        if let Support::Served { syntax, help, .. } = &word.support {
            page.push_str(&format!(
                "\n### {}\n\n{}.\n\n```\n{}\n```\n",
                word.word,
                upper(help),
                syntax.trim_end()
            ));
        }
    }
    page.push_str(
        "\n## Refused\n\nA Corefile with one of these is refused at start, with file, line and word.\n\n",
    );
    page.push_str("| word | what to do instead |\n|---|---|\n");
    for word in WORDS {
        if let Support::Refused { instead } = &word.support {
            page.push_str(&format!("| `{}` | {} |\n", word.word, instead.replace('|', "\\|")));
        }
    }
    page
}

/// A sentence's beginning.
fn upper(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

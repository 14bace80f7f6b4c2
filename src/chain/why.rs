//! Why a word decides, in a line and with the rule that it goes by: for words that say no more themselves.

use super::explain::Said;

/// What a word does and its rule in docs/behaviour.md; none for words that never decide, or say more themselves.
const WORDS: &[(&str, &str, &str)] = &[
    ("acl", "the first of its lines that fits turns the question away", "S-08"),
    ("any", "a question for all types gets one record", "S-08"),
    ("chaos", "the server's own names of class CH", "S-08"),
    ("local", "names and networks that never leave a machine are answered here", "S-10"),
    ("hosts", "its file or its lines have the name or the address", "S-10"),
    ("whoami", "every name is answered with who asks", "S-10"),
    ("template", "the first stanza that fits makes the answer", "S-11a"),
    ("erratic", "its turn says what becomes of it", "S-24"),
    ("k8s_external", "names for the outside", "K-290"),
    ("file", "the longest of its zones answers", "Z-01"),
    ("auto", "the longest of its zones answers", "Z-07"),
    ("secondary", "the longest of its zones answers", "Z-08"),
    ("forward", "the first line that is about the name has its upstreams asked", "F-01"),
];

/// Why a word decides; `None` where it says so itself.
pub(super) fn why(word: &str) -> Option<Said> {
    let (word, text, rule) = WORDS.iter().find(|(known, ..)| *known == word)?;
    Some(Said::new(word, *text, &[*rule]))
}

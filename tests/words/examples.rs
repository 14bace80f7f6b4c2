//! The forms in which words are written where they are explained: each is served.
//!
//! `tests/corefiles/examples/WORD.corefile` hold Corefiles behind lines `### what it shows`, at least one for each form that the page of
//! the word in CoreDNS 1.14.7 shows; `FILE`, `RESOLV`, `CERT`, `KEY` and `DIR` in them are files and a folder that are there.

use std::fs;

use signpost::chain::{Support, WORDS};

use super::options::folder;
use super::said;

/// The examples of a word: what each shows, and its text. Errors: there are none.
fn examples(word: &str) -> Result<Vec<(String, String)>, String> {
    let name = format!("{}/tests/corefiles/examples/{word}.corefile", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&name).map_err(|error| format!("{name}: {error}"))?;
    let cases = text.split("### ").skip(1).map(|case| {
        let (title, corefile) = case.split_once('\n').expect("a title has its own line");
        (title.to_owned(), corefile.to_owned())
    });
    Ok(cases.collect())
}

#[test]
fn every_form_in_which_a_word_is_explained_is_served() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut wrong = Vec::new();
    for word in WORDS.iter().filter(|word| matches!(word.support, Support::Served { .. })) {
        let examples = match examples(word.word) {
            Ok(examples) => examples,
            Err(why) => {
                wrong.push(why);
                continue;
            }
        };
        if examples.is_empty() {
            wrong.push(format!("{}: no example", word.word));
        }
        for (title, text) in examples {
            let stands = text.lines().any(|line| line.split_whitespace().next() == Some(word.word));
            if !stands {
                wrong.push(format!("{}, {title}: the word is not in it", word.word));
            }
            let files =
                [("FILE", "file"), ("RESOLV", "resolv"), ("CERT", "cert"), ("KEY", "key"), ("DIR", "")];
            let text = files.iter().fold(text, |text, (mark, name)| text.replace(mark, &path(name)));
            let said = said("Corefile", &text);
            if said != "it is served\n" {
                wrong.push(format!("{}, {title}:\n{said}", word.word));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

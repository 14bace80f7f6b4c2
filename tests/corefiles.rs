//! Every Corefile of the corpus parses, or fails with the text beside it.
//!
//! `tests/corefiles/ok/*.corefile` parse, and what is printed of them prints the same again.
//! `tests/corefiles/bad/*.corefile` fail with `*.expected`; `UPDATE_GOLDEN=1` rewrites those.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use signpost::corefile::{self, Disk, ImportFault, NoImports, Source, Spec};

/// The files of one folder of the corpus, and an environment that is the same everywhere.
struct Corpus(PathBuf);

impl Source for Corpus {
    fn env(&self, name: &str) -> Option<String> {
        let value = match name {
            "DOMAIN" => "cluster.local",
            "PORT" => "1053",
            "UPSTREAM" => "192.0.2.53",
            "FIRST" => "{$SECOND}",
            "SECOND" => "{$FIRST}",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn files(&self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, ImportFault> {
        let from = self.0.join(from);
        let files = Disk.files(pattern, &from.to_string_lossy())?;
        let short = |name: String| match Path::new(&name).strip_prefix(&self.0) {
            Ok(name) => name.to_string_lossy().into_owned(),
            Err(_) => name,
        };
        Ok(files.into_iter().map(|(name, text)| (short(name), text)).collect())
    }
}

/// The folder of the corpus, and the names and texts of its Corefiles.
fn corpus(folder: &str) -> (Corpus, Vec<(String, String)>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles").join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(&path)
        .expect("the corpus has this folder")
        .map(|entry| entry.expect("the folder can be listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".corefile"))
        .map(|name| {
            let text = fs::read_to_string(path.join(&name)).expect("a Corefile can be read");
            (name, text)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no Corefiles");
    (Corpus(path), files)
}

/// The parts of a configuration that printing must keep: zones, ports, words and arguments.
fn meaning(spec: &Spec) -> String {
    fn lines(directives: &[corefile::Directive], out: &mut String) {
        for directive in directives {
            let args: Vec<&str> = directive.args.iter().map(|arg| arg.text.as_str()).collect();
            out.push_str(&format!("{:?} {args:?} {}\n", directive.word.text, directive.block.is_some()));
            lines(directive.lines(), out);
            out.push_str("end\n");
        }
    }
    let mut out = String::new();
    for block in &spec.blocks {
        for key in &block.keys {
            out.push_str(&format!("{} {:?} {:?}\n", key.transport, key.zones, key.port));
        }
        lines(&block.directives, &mut out);
    }
    out
}

/// The Corefiles that clusters use, each in a folder with what stands beside it.
fn in_use() -> Vec<(Corpus, Vec<(String, String)>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles/in_use");
    let folders = fs::read_dir(path).expect("the corpus has this folder");
    let one = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("Corefile")).expect("a Corefile can be read");
        (Corpus(folder), vec![("Corefile".to_owned(), text)])
    };
    folders.map(|entry| one(entry.expect("the folder can be listed").path())).collect()
}

#[test]
fn good_files_parse_and_print_as_a_fixed_point() {
    let mut all = in_use();
    assert!(all.len() > 10);
    all.push(corpus("ok"));
    for (source, name, text) in
        all.iter().flat_map(|(source, files)| files.iter().map(move |(name, text)| (source, name, text)))
    {
        let spec = corefile::parse(name, text, source).unwrap_or_else(|error| panic!("{}", error.render()));
        let printed = corefile::print(&spec);
        let again = corefile::parse(name, &printed, &NoImports)
            .unwrap_or_else(|error| panic!("{name}, printed: {}\n{printed}", error.render()));
        assert_eq!(meaning(&again), meaning(&spec), "{name}: printing changes the meaning");
        assert_eq!(corefile::print(&again), printed, "{name}: printing is no fixed point");
    }
}

#[test]
fn bad_files_fail_with_the_text_beside_them() {
    let (source, files) = corpus("bad");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, text) in files {
        let rendered = match corefile::parse(&name, &text, &source) {
            Ok(_) => "it parses\n".to_owned(),
            Err(error) => error.render() + "\n",
        };
        let golden = source.0.join(&name).with_extension("expected");
        if update {
            fs::write(&golden, &rendered).expect("a golden file can be written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if rendered != expected {
            wrong.push(format!("--- {name}\n{rendered}--- expected\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A word that needs quotes or not, with what makes a reader stumble: quotes, backslashes, comments, braces, blanks, commas.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_.:/0-9%$*-]{1,12}",
        "[ -~]{0,16}",
        "[\\\\\"{}#, \t\nü]{0,8}",
        Just("import".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("(name)".to_owned()),
    ]
}

/// A word in quotes, as the lexer reads it: `\"` is a quote, a backslash in front of anything else stays.
fn quoted(word: &str) -> String {
    // A backslash in front of a quote, or at the end, cannot be written.
    let word = word.replace('\\', "/").replace("{$", "$").replace("{%", "%");
    format!("\"{}\"", word.replace('"', "\\\""))
}

/// Lines of a block, blocks in them up to three deep.
fn lines() -> impl Strategy<Value = String> {
    let line = proptest::collection::vec(word(), 1..4)
        .prop_map(|words| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ") + "\n");
    line.prop_recursive(3, 24, 4, |inner| {
        (word(), proptest::collection::vec(inner, 0..4))
            .prop_map(|(word, lines)| format!("{} {{\n{}}}\n", quoted(&word), lines.concat()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_parses_prints_to_what_parses_to_the_same(blocks in proptest::collection::vec(proptest::collection::vec(lines(), 0..6), 1..4)) {
        let keys = ["example.org:1053", "10.0.0.0/24 {$NOTHING}example.com", "tls://example.net", "."];
        let text: String = blocks.iter().zip(keys).map(|(lines, key)| format!("{key} {{\n{}}}\n", lines.concat())).collect();
        let spec = corefile::parse("Corefile", &text, &NoImports);
        let spec = spec.unwrap_or_else(|error| panic!("{}\n{text}", error.render()));
        let printed = corefile::print(&spec);
        let again = corefile::parse("Corefile", &printed, &NoImports);
        let again = again.unwrap_or_else(|error| panic!("{}\n{text}\n{printed}", error.render()));
        prop_assert_eq!(meaning(&again), meaning(&spec));
        prop_assert_eq!(corefile::print(&again), printed);
    }
}

//! Every Corefile of the corpus parses, or fails with the text beside it.
//!
//! `tests/corefiles/ok/*.corefile` parse, and what is printed of them prints the same again.
//! `tests/corefiles/bad/*.corefile` fail with `*.expected`; `UPDATE_GOLDEN=1` rewrites those.

use std::fs;
use std::path::{Path, PathBuf};

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

#[test]
fn good_files_parse_and_print_as_a_fixed_point() {
    let (source, files) = corpus("ok");
    for (name, text) in files {
        let spec =
            corefile::parse(&name, &text, &source).unwrap_or_else(|error| panic!("{}", error.render()));
        let printed = corefile::print(&spec);
        let again = corefile::parse(&name, &printed, &NoImports)
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

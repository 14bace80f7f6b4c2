//! The stanza's text.

use std::time::Duration;

use regex::Regex;

use super::super::authority::{Authority, Zones};
use super::super::build::Draft;
use super::super::file::{RELOAD, UPSTREAM, fallthrough};
use super::super::kubernetes::Fallthrough;
use super::folder::FolderSpec;
use crate::corefile::{Directive, Error, Token};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "auto";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
auto [ZONES…] {
    directory DIR [REGEXP ORIGIN_TEMPLATE]
    reload DURATION
    fallthrough [ZONES…]
}";

/// What it does.
pub(in crate::chain) const HELP: &str = "answers from all zone files of a folder";

/// The options, for hints.
const OPTIONS: &[&str] = &["directory", "reload", "fallthrough", "upstream"];

/// Which files are zone files unless the stanza says.
const PATTERN: &str = r"db\.(.*)";

/// Their zones unless the stanza says.
const TEMPLATE: &str = "{1}";

/// The longest pattern. Unit: bytes. Source: coredns `plugin/auto/setup.go`.
const LONGEST: usize = 10_000;

/// Reads the stanza and adds its step.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let mut served = directive.zones_from(0)?;
    if served.is_empty() {
        served = draft.zones();
    }
    let mut reload: Duration = RELOAD;
    let mut through = Fallthrough::None;
    let mut folder: Option<(&Token, String, String)> = None;
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "directory" if folder.is_some() => {
                return Err(line.word.error("`directory` stands twice in this stanza"));
            }
            "directory" => {
                folder = Some(match line.expect_args(1..=3)? {
                    [dir] => (dir, PATTERN.to_owned(), TEMPLATE.to_owned()),
                    [dir, pattern, template] => {
                        check(pattern)?;
                        (dir, pattern.text.clone(), template.text.clone())
                    }
                    _ => {
                        return Err(line
                            .word
                            .error("`directory` has a pattern and no template")
                            .hint(r"write both, as in `directory zones db\.(.*) {1}`"));
                    }
                });
            }
            "reload" => reload = line.only_arg()?.duration()?,
            "fallthrough" => through = fallthrough(line)?,
            "upstream" => draft.warnings.push(format!("{}: {UPSTREAM}", line.word.at)),
            _ => return Err(line.word.unknown("an option of `auto`", OPTIONS)),
        }
    }
    let Some((dir, pattern, template)) = folder else {
        return Err(directive.error("names no folder").hint("write `directory DIR` inside it"));
    };
    let pattern = Regex::new(&pattern).map_err(|error| dir.error(error.to_string()))?;
    let spec = FolderSpec { dir: draft.path(&dir.text), pattern, template, reload };
    let folder = draft.parts.zone_folder(&spec).map_err(|why| dir.error(why))?;
    let zones = Zones::Folder { served, folder, fallthrough: through };
    draft.steps.push(Box::new(Authority { word: WORD, zones }));
    Ok(())
}

/// Checks a pattern.
fn check(token: &Token) -> Result<(), Error> {
    if token.text.len() > LONGEST {
        return Err(token.error(format!("is longer than {LONGEST} bytes")));
    }
    let pattern = Regex::new(&token.text).map_err(|error| {
        // Its last line says what is wrong; the others point at the place.
        let why = error.to_string().lines().last().unwrap_or_default().replace("error: ", "");
        token.error(format!("`{}` is no regular expression: {why}", token.text))
    })?;
    match pattern.captures_len() {
        ..=1 => Err(token
            .error(format!("`{}` has no group", token.text))
            .hint(r"put what becomes the zone into parentheses, as in `db\.(.*)`")),
        _ => Ok(()),
    }
}

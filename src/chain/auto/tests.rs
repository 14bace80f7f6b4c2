//! Names of files and the zones that they are.

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use super::FolderSpec;
use crate::wire::show_name;

/// The zone of a file of this name.
fn origin(pattern: &str, template: &str, file: &str) -> String {
    let spec = FolderSpec {
        dir: PathBuf::new(),
        pattern: Regex::new(pattern).unwrap(),
        template: template.to_owned(),
        reload: Duration::ZERO,
    };
    match spec.origin(file) {
        None => "none".to_owned(),
        Some(Ok(name)) => show_name(&name),
        Some(Err(why)) => why,
    }
}

#[test]
fn a_template_makes_the_zone_of_what_the_pattern_found() {
    for (pattern, template, file, expected) in [
        (r"db\.(.*)", "{1}", "db.Example.ORG", "example.org."),
        (r"db\.(.*)", "{1}", "xdb.example.org.bak", "example.org.bak."),
        (r"^db\.(.*)$", "{1}", "xdb.example.org", "none"),
        (r"www\.db\.(.*)", "{1}.test.", "www.db.a", "a.test."),
        (r"(.*)_(.*)\.zone", "{2}.{1}", "org_example.zone", "example.org."),
        (r"(?P<name>.*)\.zone", "{name}.org", "example.zone", "example.org."),
        (r"db\.(.*)", "x..{1}", "db.a", "`x..a` is no name of a zone"),
        (r"db\.(.*)", "{1}", "db.", "`` is no name of a zone"),
    ] {
        assert_eq!(origin(pattern, template, file), expected, "{pattern} {template} {file}");
    }
}

//! What is made from the words and the flags: docs/corefile.md, the man page, completions for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;
use signpost::flags::Flags;

use crate::golden;

#[test]
fn the_reference_of_the_corefile_is_that_of_the_words() {
    golden("docs/corefile.md", &signpost::tools::reference());
}

/// The page of a command, and those of the commands below it.
fn page(command: &clap::Command, name: &str) -> String {
    // clap keeps names for the life of the program.
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone().name(name)).render(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_man_pages_are_those_of_the_flags() {
    let mut command = Flags::command();
    command.build();
    golden("docs/man/signpost.1", &page(&command, "signpost"));
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let name = format!("signpost-{}", below.get_name());
        golden(&format!("docs/man/{name}.1"), &page(below, &name));
    }
}

#[test]
fn completions_are_those_of_the_flags() {
    for (shell, name) in
        [(Shell::Bash, "signpost.bash"), (Shell::Zsh, "_signpost"), (Shell::Fish, "signpost.fish")]
    {
        let mut bytes = Vec::new();
        clap_complete::generate(shell, &mut Flags::command(), "signpost", &mut bytes);
        golden(&format!("docs/completions/{name}"), &String::from_utf8(bytes).unwrap());
    }
}

#[test]
fn every_code_of_a_remark_is_explained() {
    let page = std::fs::read_to_string(crate::tree("docs/tools.md")).unwrap();
    let pattern = regex::Regex::new(r#""(?:warning|hint)",\s*"([a-z-]+)""#).unwrap();
    let mut found = 0;
    for folder in ["check", "doctor"] {
        for entry in std::fs::read_dir(crate::tree(&format!("src/tools/{folder}"))).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for (_, [code]) in pattern.captures_iter(&text).map(|captures| captures.extract()) {
                assert!(
                    page.contains(&format!("`{code}`")),
                    "docs/tools.md does not say what `{code}` means"
                );
                found += 1;
            }
        }
    }
    assert!(found > 30, "{found}");
    // And what the page explains can be found.
    let (_, doctor) = page.split_once("## signpost doctor").unwrap();
    let (table, _) = doctor.split_once("## signpost top").unwrap();
    let sources: String = ["args", "asked", "memory", "resolv", "server"]
        .map(|file| std::fs::read_to_string(crate::tree(&format!("src/tools/doctor/{file}.rs"))).unwrap())
        .concat();
    let cell = regex::Regex::new("`([a-z-]+)`").unwrap();
    let mut explained = 0;
    for row in table.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next()) {
        for (_, [code]) in cell.captures_iter(row).map(|captures| captures.extract()) {
            assert!(sources.contains(&format!("\"{code}\",")), "nobody finds `{code}`");
            explained += 1;
        }
    }
    assert!(explained > 25, "{explained}");
}

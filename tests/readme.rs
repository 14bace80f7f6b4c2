//! What the documents show is so: commands run and say what is shown, Corefiles are read, links lead somewhere, figures are
//! those of the pages that they come from.
//!
//! `console` blocks hold commands with their output, `sh` blocks commands alone, `corefile` blocks Corefiles or lines of one.
//! `UPDATE_GOLDEN=1` writes anew what commands say where it is no longer what is shown.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(dead_code, reason = "each test binary uses a part of what it shares")]

#[path = "readme/page.rs"]
mod page;
#[path = "cli/process.rs"]
mod process;
#[path = "readme/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use regex::Regex;
use signpost::chain::{Support, WORDS};
use signpost::flags::{self, Flags};

use page::{anchors, commands, fences, links, transcript};
use world::World;

/// The pages whose commands are run.
const RUN: [&str; 4] = ["README.md", "docs/operate.md", "docs/tune.md", "docs/troubleshooting.md"];

/// Commands that are not run by this test, by how they begin, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("kubectl ", "there is no cluster"),
    (
        "helm ",
        "there is no cluster, and Helm is none of the gate's tools; charts are rendered by `cargo chart`",
    ),
    ("alias signpost=", "it leads into a cluster"),
    ("export PATH=", "it changes the reader's shell; here the binary is found already"),
    ("cargo test", "this is it"),
    ("cargo versus", "minutes on a quiet machine"),
    ("cargo image", "half an hour, and it needs buildah"),
    (".ci/run", "this is part of it"),
];

/// A file of the source tree.
fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Its text.
fn read(path: &str) -> String {
    std::fs::read_to_string(tree(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages of the project, by their paths.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs/", "docs/decisions/", "charts/signpost/"] {
        for entry in std::fs::read_dir(tree(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found.sort();
    assert!(found.len() > 15, "{found:?}");
    found
}

/// What is compared of an output: ages, times, counts that differ from run to run and the machine's own are left out, and
/// addresses may come in any order.
fn stable(command: &str, output: &str) -> String {
    let mut text = output.to_owned();
    if command.starts_with("signpost ") {
        for (pattern, instead) in [
            (r"\b\d+(\.\d+)? (s|ms|min|h|days|MiB)\b", "N $2"),
            (r"\b\d+(\.\d+)? %", "N %"),
            // What is looked at follows from the machine: a container has a limit.
            (r"(?s)looked at: .*", "looked at …"),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, instead).into_owned();
        }
        if command.contains(" top ") || command.contains(" tap ") {
            // Counts, times of day, ports of clients.
            text = Regex::new(r"\b\d[\d,.:]*\b").unwrap().replace_all(&text, "N").into_owned();
        }
        // Lines may be broken elsewhere then.
        text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    text = Regex::new("linux/[a-z0-9_]+").unwrap().replace_all(&text, "linux/ARCH").into_owned();
    if command.starts_with("dig ") {
        // Tabs depend on dig's version; addresses are shuffled.
        let mut lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        lines.sort();
        text = lines.join("\n");
    }
    if command.contains("/metrics") {
        // The order of labels' values is no promise.
        let numbers = Regex::new(r" [0-9.e+-]+$").unwrap();
        let mut lines: Vec<String> =
            text.lines().map(|line| numbers.replace(line, " N").into_owned()).collect();
        lines.sort();
        text = lines.join("\n");
    }
    text.trim_end().to_owned()
}

/// Why a command is not run, if it is not; notes in `used` what was said of which.
fn excuse(command: &str, used: &mut BTreeSet<&'static str>) -> Option<&'static str> {
    let (start, why) = NOT_RUN.iter().find(|(start, _)| command.starts_with(start))?;
    used.insert(start);
    Some(why)
}

#[test]
fn every_command_is_run_or_has_its_reason_and_says_what_is_shown() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let world = World::start();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut run = 0;
    for path in RUN {
        let text = read(path);
        let mut written = String::new();
        let mut copied = 0;
        for fence in fences(&text) {
            let inside = &text[fence.text.clone()];
            let place = format!("{path}:{}", fence.line);
            assert!(
                fence.kind == "console" || !inside.lines().any(|line| line.starts_with("$ ")),
                "{place}: a transcript is a block of kind `console`"
            );
            match fence.kind.as_str() {
                "console" => {
                    for said in transcript(&text, &fence) {
                        let outcome = world
                            .greeting(&said.command)
                            .or_else(|| world.run(&said.command).map(|outcome| outcome.text));
                        let Some(got) = outcome else { continue };
                        run += 1;
                        let shown = &text[said.output.clone()];
                        if stable(&said.command, &got) == stable(&said.command, shown) {
                            continue;
                        }
                        if !update {
                            wrong.push(format!("{place}: $ {}\n{got}--- shown\n{shown}", said.command));
                        }
                        written.push_str(&text[copied..said.output.start]);
                        written.push_str(got.trim_end());
                        written.push('\n');
                        copied = said.output.end;
                    }
                }
                "sh" => {
                    for command in commands(inside) {
                        if excuse(&command, &mut used).is_some() || world.has_started(&command) {
                            continue;
                        }
                        let runs =
                            ["signpost ", "dig ", "curl "].iter().any(|start| command.starts_with(start));
                        assert!(
                            runs,
                            "{place}: `{command}` is neither run nor in the list of those that are not"
                        );
                        let Some(outcome) = world.run(&command) else { continue };
                        run += 1;
                        // 3 and 4 say that something was found.
                        if !matches!(outcome.code, Some(0 | 3 | 4)) {
                            wrong.push(format!("{place}: $ {command}\n{}", outcome.text));
                        }
                    }
                }
                _ => {}
            }
        }
        written.push_str(&text[copied..]);
        if update && written != text {
            std::fs::write(tree(path), written).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run > 20, "{run}");
    for (start, _) in NOT_RUN {
        assert!(used.contains(start), "no page shows `{start}`: take it out of the list");
    }
}

/// The command lines in the blocks of a page, transcripts included.
fn lines_of(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for fence in fences(text) {
        let lines = match fence.kind.as_str() {
            "console" => transcript(text, &fence).into_iter().map(|said| said.command).collect(),
            "sh" => commands(&text[fence.text.clone()]),
            _ => Vec::new(),
        };
        found.extend(lines.into_iter().map(|line| (fence.line, line)));
    }
    found
}

#[test]
fn every_flag_that_is_shown_is_one() {
    // Also behind `kubectl exec … -- /signpost`.
    let pattern = Regex::new(r"(^|[ /])signpost (check|explain|compare|doctor|top|tap) ").unwrap();
    let mut seen = 0;
    for path in pages() {
        for (line, command) in lines_of(&read(&path)) {
            let Some(found) = pattern.find(&command) else { continue };
            let rest = &command[found.start()..];
            let rest = rest.trim_start_matches([' ', '/']);
            let words = rest.split(['|', '>']).next().unwrap_or_default().split_whitespace();
            let shown = words.map(|word| word.trim_matches('\'').into());
            if let Err(error) = Flags::try_parse_from(flags::rewrite(shown)) {
                panic!("{path}:{line}: `{rest}`: {error}");
            }
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn every_cargo_command_that_is_shown_is_one() {
    let aliases = read(".cargo/config.toml");
    let mut seen = 0;
    for path in pages() {
        for (line, command) in lines_of(&read(&path)) {
            let Some(name) = command.strip_prefix("cargo ").and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            let own = aliases.lines().any(|alias| alias.starts_with(&format!("{name} =")));
            let usual = ["run", "build", "test", "fmt", "clippy", "bench", "deny"].contains(&name);
            assert!(own || usual, "{path}:{line}: there is no `cargo {name}`");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn every_corefile_that_is_shown_is_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut seen = 0;
    for path in pages() {
        let text = read(&path);
        for fence in fences(&text).iter().filter(|fence| fence.kind == "corefile") {
            let shown = &text[fence.text.clone()];
            let first = shown.split_whitespace().find(|word| !word.starts_with('#')).unwrap_or_default();
            // Lines of a block stand in one.
            let whole = match WORDS.iter().any(|word| word.word == first) {
                true => format!(".:53 {{\n{shown}}}\n"),
                false => shown.to_owned(),
            };
            let file = folder.path().join("Corefile");
            std::fs::write(&file, &whole).unwrap();
            let said = process::run(&tree("."), &["check", file.to_str().unwrap()]);
            assert_eq!(said.code, Some(0), "{path}:{}: {}{}", fence.line, said.out, said.err);
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in pages() {
        let text = read(&path);
        let folder = Path::new(&path).parent().unwrap();
        for (line, link) in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { PathBuf::from(&path) } else { folder.join(file) };
            let full = tree(target.to_str().unwrap());
            if !full.exists() {
                wrong.push(format!("{path}:{line}: {link}: there is no such file"));
                continue;
            }
            if !anchor.is_empty() && !anchors(&std::fs::read_to_string(&full).unwrap()).contains(anchor) {
                wrong.push(format!("{path}:{line}: {link}: the page has no such heading"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen > 80, "{seen}");
}

#[test]
fn the_index_of_the_documents_has_all_of_them() {
    let index: BTreeSet<String> = links(&read("docs/README.md")).into_iter().map(|(_, link)| link).collect();
    for page in pages() {
        if let Some(name) =
            page.strip_prefix("docs/").filter(|name| !name.contains('/') && *name != "README.md")
        {
            assert!(index.contains(name), "docs/README.md leads to {name} nowhere");
        }
    }
    assert!(
        index.contains("decisions") && index.contains("man") && index.contains("completions"),
        "{index:?}"
    );
}

#[test]
fn each_platform_has_its_way_there_and_back_with_how_it_was_checked() {
    let page = read("docs/migrate.md");
    let marks = ["**[tested]**", "**[documented]**", "**[memory]**"];
    assert!(marks.iter().all(|mark| page.contains(mark)));
    let (_, platforms) = page.split_once("\n## Platforms\n").unwrap();
    let sections: Vec<(&str, &str)> =
        platforms.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    let wanted = [
        "kubeadm",
        "EKS",
        "GKE",
        "AKS",
        "k3s",
        "RKE2",
        "Talos",
        "kops",
        "OpenShift",
        "NodeLocal DNSCache",
        "kube-dns",
    ];
    assert_eq!(names, wanted);
    for (name, text) in sections {
        assert!(marks.iter().any(|mark| text.contains(mark)), "{name}: no fact says how it was checked");
        assert!(text.contains("\n* Back:"), "{name}: no way back");
    }
}

#[test]
fn no_page_says_a_thing_twice() {
    // What two branches both carried, and a merge kept.
    // Each round of figures says anew where it was measured.
    for page in pages().into_iter().filter(|page| page != "docs/performance.md") {
        let text = read(&page);
        let fences = fences(&text);
        let (mut at, mut seen) = (0, BTreeSet::new());
        for line in text.split_inclusive('\n') {
            let inside = fences.iter().any(|fence| fence.text.contains(&at));
            at += line.len();
            // Transcripts and tables repeat themselves.
            if inside && page != "CONTRIBUTING.md" || line.starts_with('|') || line.trim().len() < 40 {
                continue;
            }
            let words =
                line.split('#').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.len() < 10 || seen.insert(words.clone()), "{page} says twice: {words}");
        }
    }
}

#[test]
fn every_command_beside_serving_has_its_section() {
    let tools = read("docs/tools.md");
    for command in Flags::command().get_subcommands() {
        let heading = format!("\n## signpost {}", command.get_name());
        assert!(tools.contains(&heading), "docs/tools.md has no section `{}`", heading.trim());
    }
}

#[test]
fn the_readme_has_a_row_for_each_word_that_is_served_and_for_no_other() {
    let text = read("README.md");
    let (_, table) = text.split_once("| word | what it does |\n|---|---|\n").unwrap();
    let mut shown = BTreeSet::new();
    for row in table.lines().take_while(|line| line.starts_with("| ")) {
        let cell = row.split('|').nth(1).unwrap();
        shown.extend(cell.split(',').map(|word| word.trim().trim_matches('`')));
    }
    let served: BTreeSet<&str> = WORDS
        .iter()
        .filter(|word| matches!(word.support, Support::Served { .. }))
        .map(|word| word.word)
        .collect();
    assert_eq!(shown, served);
}

/// The numbers in a text, without those of versions and of what is linked to.
fn numbers(text: &str) -> Vec<String> {
    let linked = Regex::new(r"\]\([^)]*\)|`[^`]*`").unwrap().replace_all(text, "");
    let pattern = Regex::new(r"\b\d[\d,]*(\.\d+)*").unwrap();
    pattern.find_iter(&linked).map(|found| found.as_str().replace(',', "")).collect()
}

#[test]
fn figures_of_the_readme_are_those_of_their_pages() {
    let text = read("README.md");
    let link = Regex::new(r"\]\((docs/[a-z-]+\.md)(#[^)]*)?\)").unwrap();
    let measured = ["docs/performance.md", "docs/cluster-figures.md", "docs/upstreams.md"];
    let mut seen = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let Some(found) = link.captures(row).filter(|found| measured.contains(&&found[1])) else { continue };
        let page = read(&found[1]);
        let lines: Vec<(String, BTreeSet<String>)> =
            page.lines().map(|line| (line.to_lowercase(), numbers(line).into_iter().collect())).collect();
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [what, ours, theirs, _] = cells.as_slice() else { panic!("README: four columns: {row}") };
        // Each figure stands in a line about that server, or in one with those of both.
        let both: BTreeSet<String> = [ours, theirs].iter().flat_map(|cell| numbers(cell)).collect();
        let together = lines.iter().any(|(_, known)| both.is_subset(known));
        for (cell, names) in [(ours, ["signpost", "ours"]), (theirs, ["coredns", "coredns"])] {
            for number in numbers(cell) {
                let said = |(line, known): &(String, BTreeSet<String>)| {
                    known.contains(&number) && names.iter().any(|name| line.contains(name))
                };
                let known = together || lines.iter().any(said);
                assert!(known, "{}: {} has no {number}, as README says: {row}", &found[1], names[0]);
                seen += 1;
            }
        }
        let known: BTreeSet<&String> = lines.iter().flat_map(|(_, known)| known).collect();
        for number in numbers(what) {
            assert!(known.contains(&number), "{}: no {number} is there, as README says: {row}", &found[1]);
        }
    }
    assert!(seen > 15, "{seen}");
}

/// The paragraphs, list items and rows of a page.
fn parts(page: &str) -> Vec<String> {
    let item = Regex::new(r"^\s*([*|-]|\d+\.) ").unwrap();
    let mut found = vec![String::new()];
    for line in page.lines() {
        if line.is_empty() || item.is_match(line) {
            found.push(String::new());
        }
        let part = found.last_mut().unwrap();
        part.push_str(line);
        part.push('\n');
    }
    found
}

#[test]
fn measured_figures_are_those_of_the_pages_that_are_named_beside_them() {
    let link = Regex::new(r"\]\(((performance|cluster-figures|upstreams|scale)\.md)(#[^)]*)?\)").unwrap();
    let mut seen = 0;
    for path in ["docs/operate.md", "docs/tune.md", "docs/troubleshooting.md"] {
        for part in parts(&read(path)) {
            let pages: BTreeSet<String> =
                link.captures_iter(&part).map(|found| format!("docs/{}", &found[1])).collect();
            if pages.is_empty() {
                continue;
            }
            let known: BTreeSet<String> = pages.iter().flat_map(|page| numbers(&read(page))).collect();
            // What has no decimals is as often a limit, a port or a round number.
            for number in numbers(&part).iter().filter(|number| number.matches('.').count() == 1) {
                assert!(known.contains(number), "{path}: {pages:?} have no {number}: {part}");
                seen += 1;
            }
        }
    }
    assert!(seen > 8, "{seen}");
}

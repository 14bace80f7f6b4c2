//! `signpost check`.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::{fault, golden, json, run};

/// The folder of the golden texts.
const FOLDER: &str = "tests/tools/check";

/// What is said about a Corefile of this text: code of the exit, and JSON.
fn said(text: &str, more: &[&str]) -> (Value, i32) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("Corefile");
    fs::write(&file, text).unwrap();
    let mut args = vec!["check", "--format", "json", file.to_str().unwrap()];
    args.extend(more);
    let (reports, code) = json(".", &args);
    (reports[0].clone(), code)
}

/// The codes of what is odd in it.
fn codes(text: &str) -> Vec<String> {
    let (report, _) = said(text, &[]);
    assert_eq!(report["served"], true, "{report}");
    let warnings = report["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
}

/// A block with these lines that lacks nothing.
fn sound(lines: &str) -> String {
    format!(
        ".:53 {{\n    errors\n    health {{\n        lameduck 5s\n    }}\n    ready\n    prometheus :9153\n    cache 30\n    loop\n    reload\n{lines}}}\n"
    )
}

/// The usual stanza.
const CLUSTER: &str = "    kubernetes cluster.local in-addr.arpa ip6.arpa {\n        fallthrough in-addr.arpa ip6.arpa\n    }\n";

#[test]
fn people_get_these_texts() {
    for name in ["sound", "odd", "refused"] {
        let (out, code) = run(FOLDER, &["check", &format!("{name}.corefile")]);
        golden(&format!("{FOLDER}/{name}.expected"), &format!("{out}=> {code}\n"));
    }
    let (out, code) = run(FOLDER, &["check", "--diff", "sound.corefile", "odd.corefile"]);
    golden(&format!("{FOLDER}/difference.expected"), &format!("{out}=> {code}\n"));
}

#[test]
fn what_is_sound_has_nothing_to_be_said_about() {
    assert_eq!(codes(&sound(&format!("{CLUSTER}    forward . 10.0.0.10\n"))), [""; 0]);
}

#[test]
fn each_odd_thing_is_told_by_its_code() {
    let forward = "    forward . 10.0.0.10\n";
    for (code, text) in [
        (
            "leak",
            sound(&format!(
                "    kubernetes cluster.local in-addr.arpa {{\n        fallthrough\n    }}\n{forward}"
            )),
        ),
        ("no-reverse", sound(&format!("    kubernetes cluster.local\n{forward}"))),
        (
            "pods-verified",
            sound(&format!(
                "    kubernetes cluster.local in-addr.arpa {{\n        pods verified\n    }}\n{forward}"
            )),
        ),
        ("debug", sound(&format!("{CLUSTER}{forward}    debug\n"))),
        ("hidden", sound(&format!("{CLUSTER}{forward}    forward example.org 10.0.0.11\n"))),
        ("resolv-loop", sound(&format!("{CLUSTER}    forward . 127.0.0.53:5353\n"))),
        ("metrics-loopback", sound(&format!("{CLUSTER}{forward}")).replace(":9153", "localhost:9153")),
        ("no-lameduck", sound(&format!("{CLUSTER}{forward}")).replace("lameduck 5s", "")),
        (
            "no-health",
            sound(&format!("{CLUSTER}{forward}")).replace("    health {\n        lameduck 5s\n    }\n", ""),
        ),
        (
            "address-as-name",
            sound(&format!("{CLUSTER}{forward}")) + "10.0.0.1:1053 {\n    errors\n    whoami\n}\n",
        ),
        ("no-ready", sound(&format!("{CLUSTER}{forward}")).replace("    ready\n", "")),
        ("no-reload", sound(&format!("{CLUSTER}{forward}")).replace("    reload\n", "")),
        ("no-loop", sound(&format!("{CLUSTER}{forward}")).replace("    loop\n", "")),
        ("no-cache", sound(&format!("{CLUSTER}{forward}")).replace("    cache 30\n", "")),
        ("no-errors", sound(&format!("{CLUSTER}{forward}")).replace("    errors\n", "")),
        ("idle-cache", sound(&format!("{CLUSTER}{forward}")).replace("cache 30", "cache 30 cluster.local")),
        ("idle-loop", sound("    kubernetes cluster.local\n").replace("    cache 30\n", "")),
        (
            "overruled",
            sound(&format!("{CLUSTER}{forward}"))
                + "example.org:1053 {\n    errors\n    whoami\n    ready :8182\n}\n",
        ),
        ("import-nothing", sound(&format!("{CLUSTER}{forward}    import nowhere/*.override\n"))),
        (
            "unset-variable",
            sound(&format!("{CLUSTER}    forward . 10.0.0.10 {{$SIGNPOST_TEST_UNSET}}10.0.0.11\n")),
        ),
    ] {
        assert_eq!(codes(&text), [code], "{text}");
    }
}

#[test]
fn words_that_do_nothing_here_are_told_at_their_place() {
    let forward = "    forward . 10.0.0.10\n";
    for (word, lines) in [
        ("multisocket", "multisocket 4"),
        ("cancel", "cancel"),
        ("bufsize", "bufsize 4096"),
        ("tls", "tls cert.pem key.pem"),
        ("https", "https {\n        max_connections 10\n    }"),
        ("https3", "https3 {\n        max_streams 10\n    }"),
        ("quic", "quic {\n        max_streams 10\n    }"),
        ("autopath", "autopath @kubernetes"),
        ("skipverify", "dnstap /tmp/dnstap.sock {\n        skipverify\n    }"),
        ("metadata", "view some {\n        expr metadata('view/name') == 'some'\n    }"),
        ("upstream", "file db.example.org example.org {\n        upstream\n    }"),
        ("tls_servername", "forward example.org 10.0.0.11 {\n        tls_servername dns.example.org\n    }"),
    ] {
        // `forward` of the test comes first: one of all names would hide it.
        let text = sound(&format!("    {lines}\n{CLUSTER}{forward}"));
        let (report, code) = said(&text, &["--strict"]);
        assert_eq!(code, 3, "{report}");
        let warnings = report["warnings"].as_array().unwrap();
        let [warning] = warnings.as_slice() else { panic!("{word}: {report}") };
        assert_eq!(warning["code"], "no-effect", "{warning}");
        assert!(warning["text"].as_str().unwrap().contains(word), "{word}: {warning}");
        let line = 1 + text.lines().position(|line| line.contains(word)).unwrap();
        assert!(
            warning["at"].as_str().unwrap().contains(&format!(":{line}:")),
            "{word} in line {line}: {warning}"
        );
    }
}

#[test]
fn blocks_that_no_query_reaches_or_that_answer_nobody_are_told() {
    let inside = sound(&format!("{CLUSTER}    forward . 10.0.0.10\n"));
    // A block of the same zone, behind one without a view.
    let views = format!(
        "{inside}.:53 {{\n    errors\n    view late {{\n        expr type() == 'A'\n    }}\n    cache\n    loop\n    forward . 10.0.0.11\n}}\n"
    );
    let (report, _) = said(&views, &[]);
    let told = report["warnings"].to_string();
    assert!(told.contains("is never reached"), "{report}");
    let empty = format!("{inside}example.org:53 {{\n}}\n");
    let (report, _) = said(&empty, &[]);
    assert!(report["warnings"].to_string().contains("has no word that answers"), "{report}");
}

#[test]
fn a_block_that_takes_the_zone_of_another_is_told() {
    let text = sound(&format!("{CLUSTER}    forward . 10.0.0.10\n"))
        + "cluster.local:53 {\n    errors\n    cache\n    loop\n    forward . 10.0.0.11\n}\n";
    assert_eq!(codes(&text), ["hidden"]);
}

#[test]
fn a_zone_outside_of_its_block_is_told() {
    let text = "example.org:53 {\n    errors\n    reload\n    cache\n    loop\n    forward example.com 10.0.0.10\n}\n";
    assert_eq!(codes(text), ["out-of-reach"]);
}

#[test]
fn names_that_fall_through_to_nobody_are_told() {
    let text = sound("").replace(
        "    cache 30\n    loop\n",
        "    kubernetes cluster.local in-addr.arpa {\n        fallthrough\n    }\n",
    );
    assert_eq!(codes(&text), ["fallthrough-nowhere"]);
}

#[test]
fn a_resolv_conf_that_leads_back_is_told() {
    let dir = TempDir::new().unwrap();
    let resolv = dir.path().join("resolv.conf");
    fs::write(&resolv, "nameserver 127.0.0.53\n").unwrap();
    assert_eq!(codes(&sound(&format!("{CLUSTER}    forward . {}\n", resolv.display()))), ["resolv-loop"]);
}

#[test]
fn warnings_end_with_3_only_when_strict() {
    let text = sound(&format!("{CLUSTER}    forward . 10.0.0.10\n    debug\n"));
    assert_eq!(said(&text, &[]).1, 0);
    assert_eq!(said(&text, &["--strict"]).1, 3);
    // Hints are none.
    let text = sound(&format!("{CLUSTER}    forward . 10.0.0.10\n")).replace("    errors\n", "");
    assert_eq!(said(&text, &["--strict"]).1, 0);
}

#[test]
fn a_refusal_has_its_place_and_ends_with_1() {
    let (report, code) = said(".:53 {\n    errors\n    forwrad . 10.0.0.10\n}\n", &[]);
    assert_eq!(code, 1);
    assert_eq!(report["served"], false);
    assert_eq!((&report["error"]["line"], &report["error"]["column"]), (&3.into(), &5.into()));
    let rendered = report["error"]["rendered"].as_str().unwrap();
    assert!(rendered.contains("^^^^^^^") && rendered.contains("did you mean `forward`"), "{rendered}");
}

#[test]
fn a_file_that_is_not_there_ends_with_2() {
    let (err, code) = fault(".", &["check", "/nowhere/Corefile"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("/nowhere/Corefile"), "{err}");
}

#[test]
fn the_rights_that_a_corefile_needs_are_those_of_a_cluster_role() {
    let (report, _) = said(&sound(&format!("{CLUSTER}    forward . 10.0.0.10\n")), &[]);
    let expected = serde_json::json!([
        {"apiGroups": [""], "resources": ["namespaces", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]);
    assert_eq!(report["rights"], expected);
    let (report, _) = said(&sound("    kubernetes cluster.local {\n        manifests .\n    }\n"), &[]);
    assert_eq!(report["rights"], serde_json::json!([]), "a folder needs none");
}

#[test]
fn a_configmap_is_checked_by_its_corefile() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("configmap.yaml");
    fs::write(
        &file,
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  Corefile: |\n    .:53 {\n        whoamy\n    }\n",
    )
    .unwrap();
    let (reports, code) = json(".", &["check", "--format", "json", file.to_str().unwrap()]);
    assert_eq!(code, 1, "{reports}");
    assert!(reports[0]["error"]["file"].as_str().unwrap().ends_with("configmap.yaml#Corefile"), "{reports}");
    assert_eq!(reports[0]["error"]["line"], 2);
}

#[test]
fn the_chain_stands_in_its_fixed_order() {
    let (report, _) = said(&sound(&format!("    forward . 10.0.0.10\n{CLUSTER}    loadbalance\n")), &[]);
    let chain = report["blocks"][0]["chain"].as_array().unwrap();
    let words: Vec<&str> = chain.iter().map(|step| step["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["errors", "loadbalance", "kubernetes", "loop", "cache", "forward"]);
}

#[test]
fn equal_files_do_not_differ_and_a_comment_is_no_difference() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let text = sound(&format!("{CLUSTER}    forward . 10.0.0.10\n"));
    fs::write(&old, &text).unwrap();
    fs::write(&new, text.replace("    errors\n", "    # said\n    errors\n")).unwrap();
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let (out, code) = run(".", &["check", "--diff", old, new]);
    assert_eq!(code, 0, "{out}");
    fs::write(new, text.replace("10.0.0.10", "10.0.0.11") + "example.org:1053 {\n    whoami\n}\n").unwrap();
    let (difference, code) = json(".", &["check", "--format", "json", "--diff", old, new]);
    assert_eq!(code, 4);
    let blocks = &difference["blocks"];
    assert_eq!(blocks[0]["added"], serde_json::json!(["forward . 10.0.0.11"]));
    assert_eq!(blocks[0]["removed"], serde_json::json!(["forward . 10.0.0.10"]));
    assert_eq!(blocks[1]["change"], "added");
    assert_eq!(difference["opened"], serde_json::json!(["every address, port 1053"]));
}

/// What changes from one text to the other, and the exit code.
fn changed(old: &str, new: &str) -> (serde_json::Value, i32) {
    let dir = TempDir::new().unwrap();
    let paths = [("old", old), ("new", new)].map(|(name, text)| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    });
    json(".", &["check", "--format", "json", "--diff", &paths[0], &paths[1]])
}

#[test]
fn of_several_blocks_with_the_same_keys_each_is_compared_with_its_own() {
    let a = ".:2600 {\n view a {\n expr type() == 'A'\n }\n whoami\n}\n";
    let b = ".:2600 {\n view b {\n expr type() == 'MX'\n }\n whoami\n}\n";
    let rest = ".:2600 {\n whoami\n chaos\n}\n";
    let all = format!("{a}{b}{rest}");
    let (difference, code) = changed(&all, &all);
    assert_eq!((code, &difference["blocks"]), (0, &serde_json::json!([])));
    // One goes.
    let (difference, code) = changed(&all, &format!("{a}{b}"));
    assert_eq!(code, 4);
    assert_eq!(difference["blocks"].as_array().unwrap().len(), 1, "{difference}");
    assert_eq!(difference["blocks"][0]["change"], "removed");
    assert_eq!(difference["blocks"][0]["removed"], serde_json::json!(["chaos", "whoami"]));
    // One changes, told by its view.
    let (difference, _) = changed(&all, &format!("{a}{}{rest}", b.replace("whoami", "erratic")));
    assert_eq!(difference["blocks"].as_array().unwrap().len(), 1, "{difference}");
    assert_eq!(difference["blocks"][0]["added"], serde_json::json!(["erratic"]));
    assert_eq!(difference["blocks"][0]["removed"], serde_json::json!(["whoami"]));
    // The first whose view fits is asked, so their order matters.
    let (difference, code) = changed(&all, &format!("{b}{a}{rest}"));
    assert_eq!(code, 4);
    assert_eq!(difference["blocks"].as_array().unwrap().len(), 1, "{difference}");
    assert_eq!(difference["blocks"][0]["change"], "moved");
    // Blocks of other keys are asked for other names, wherever they stand.
    let other = "example.org:2600 {\n whoami\n}\n";
    assert_eq!(changed(&format!("{all}{other}"), &format!("{other}{all}")).1, 0);
    // A line that stands once more is one more.
    let (difference, _) = changed(".:2600 {\n log a.\n}\n", ".:2600 {\n log a.\n log a.\n}\n");
    assert_eq!(difference["blocks"][0]["added"], serde_json::json!(["log a."]));
}

#[test]
fn the_same_keys_in_other_words_are_no_difference() {
    for (old, new) in [
        ("a.b", "a.b:53"),
        ("a.b", "A.B."),
        ("a.b c.d", "c.d a.b"),
        ("dns://a.b", "a.b"),
        ("10.0.0.0/24", "0.0.10.in-addr.arpa"),
    ] {
        let text = |keys: &str| format!("{keys} {{\n whoami\n}}\n");
        let (difference, code) = changed(&text(old), &text(new));
        assert_eq!(code, 0, "{old} {new} {difference}");
        assert_eq!(changed(&text(old), &text("x.y")).1, 4, "{old}");
    }
}

#[test]
fn a_file_before_that_would_not_be_served_is_said() {
    let (difference, code) = changed(".:2600 {\n whoamy\n}\n", ".:2600 {\n whoami\n}\n");
    assert_eq!(code, 4);
    assert!(difference["refused"].as_str().unwrap().contains("whoamy"), "{difference}");
    let (difference, _) = changed(".:2600 {\n whoami\n}\n", ".:2601 {\n whoami\n}\n");
    assert!(difference.get("refused").is_none(), "{difference}");
}

#[test]
fn every_configmap_of_a_file_is_checked() {
    let map = |name: &str, word: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  Corefile: |\n    .:53 {{\n        {word}\n    }}\n"
        )
    };
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("maps.yaml");
    fs::write(&file, format!("{}---\n{}", map("one", "whoami"), map("two", "bogus"))).unwrap();
    let path = file.to_str().unwrap();
    let (reports, code) = json(".", &["check", "--format", "json", path]);
    assert_eq!(code, 1, "{reports}");
    let files: Vec<&str> =
        reports.as_array().unwrap().iter().map(|report| report["file"].as_str().unwrap()).collect();
    assert_eq!(files, [format!("{path}#one/Corefile"), format!("{path}#two/Corefile")]);
    assert_eq!((&reports[0]["served"], &reports[1]["served"]), (&true.into(), &false.into()));
    // To be compared there must be one.
    let (err, code) = fault(".", &["check", "--diff", path, path]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("one Corefile is needed") && err.contains("#two/Corefile"), "{err}");
    // As `kubectl get configmaps -o json` prints them.
    let list = serde_json::json!({"kind": "List", "items": [
        {"kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"Corefile": ".:53 {\n bogus\n}\n"}},
    ]});
    fs::write(&file, list.to_string()).unwrap();
    let (reports, code) = json(".", &["check", "--format", "json", path]);
    assert_eq!((code, &reports[0]["error"]["line"]), (1, &2.into()), "{reports}");
}

#[test]
fn a_file_that_cannot_be_read_takes_nothing_from_what_is_said_about_others() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("Corefile");
    fs::write(&file, ".:53 {\n whoamy\n}\n").unwrap();
    let path = file.to_str().unwrap();
    let (reports, code) = json(".", &["check", "--format", "json", "/nowhere", path]);
    assert_eq!((code, reports.as_array().unwrap().len()), (2, 1), "{reports}");
    assert_eq!(reports[0]["served"], false);
    // Bytes that are no text have a line.
    fs::write(&file, b".:53 {\n # caf\xe9\n whoami\n}\n").unwrap();
    let (err, code) = fault(".", &["check", path]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("line 2 is not UTF-8 text"), "{err}");
}

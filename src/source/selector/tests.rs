//! Tests of label selectors.

use super::*;

/// Labels from pairs.
fn labels(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// True where `selector` selects `pairs`.
fn selects(selector: &str, pairs: &[(&str, &str)]) -> bool {
    Selector::parse(selector).unwrap().matches(&labels(pairs))
}

/// The error of a selector that is wrong.
fn error(selector: &str) -> String {
    Selector::parse(selector).unwrap_err().to_string()
}

#[test]
fn an_empty_selector_selects_everything() {
    assert!(selects("", &[]));
    assert!(selects("   ", &[("a", "b")]));
}

#[test]
fn equality_wants_the_label_and_its_value() {
    assert!(selects("a=b", &[("a", "b")]));
    assert!(selects("a == b", &[("a", "b")]));
    assert!(!selects("a=b", &[("a", "c")]));
    assert!(!selects("a=b", &[]));
    assert!(selects("a=", &[("a", "")]));
    assert!(!selects("a=", &[]));
}

#[test]
fn inequality_holds_for_a_missing_label() {
    assert!(selects("a!=b", &[("a", "c")]));
    assert!(selects("a!=b", &[]));
    assert!(!selects("a!=b", &[("a", "b")]));
}

#[test]
fn sets_and_existence() {
    assert!(selects("a in (x, y)", &[("a", "y")]));
    assert!(!selects("a in (x,y)", &[("a", "z")]));
    assert!(!selects("a in (x,y)", &[]));
    assert!(selects("a notin (x,y)", &[("a", "z")]));
    assert!(selects("a notin(x,y)", &[]));
    assert!(!selects("a notin (x,y)", &[("a", "x")]));
    assert!(selects("a in (,x)", &[("a", "")]));
    assert!(selects("a", &[("a", "")]));
    assert!(!selects("!a", &[("a", "")]));
    assert!(selects("!a", &[]));
    assert!(selects("in in (in)", &[("in", "in")]));
}

#[test]
fn numbers_compare() {
    assert!(selects("gen>3", &[("gen", "4")]));
    assert!(!selects("gen > 3", &[("gen", "3")]));
    assert!(!selects("gen < 3", &[("gen", "x")]));
    assert!(selects("gen<-1", &[("gen", "-2")]));
}

#[test]
fn every_requirement_must_hold() {
    let selector = "a=b,c!=d,e in (x,y),f notin (z),g,!h";
    assert!(selects(selector, &[("a", "b"), ("e", "x"), ("g", "")]));
    assert!(!selects(selector, &[("a", "b"), ("e", "x"), ("g", ""), ("h", "1")]));
    assert!(!selects(selector, &[("a", "b"), ("e", "x")]));
    assert_eq!(Selector::parse(selector).unwrap().as_str(), selector);
}

#[test]
fn keys_may_have_a_prefix() {
    assert!(selects("app.kubernetes.io/name=web", &[("app.kubernetes.io/name", "web")]));
    assert!(error("App.io/name=web").contains("expected the key of a label at character 1"));
    assert!(error("a/b/c=web").contains("the key of a label"));
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(
        error("a=b,c~d"),
        r#"label selector "a=b,c~d": expected the key of a label at character 5, found 'c'"#
    );
    assert!(
        error("a b")
            .ends_with("expected '=', '==', '!=', '<', '>', 'in' or 'notin' at character 3, found 'b'")
    );
    assert!(error("a in x").ends_with("expected '(' at character 6, found 'x'"));
    assert!(error("a in (x").ends_with("expected a comma or ')' at character 8, found the end"));
    assert!(error("a=b,").ends_with("expected the key of a label at character 5, found the end"));
    assert!(error("a=b c").ends_with("expected a comma or the end at character 5, found 'c'"));
    assert!(error("a!b").ends_with("expected '=' after '!' at character 3, found 'b'"));
    assert!(error("a>x").ends_with("expected an integer at character 3, found 'x'"));
    assert!(error("é=1").ends_with("at character 1, found 'é'"));
    assert!(error(&format!("a={}", "x".repeat(64))).contains("the value of a label"));
}

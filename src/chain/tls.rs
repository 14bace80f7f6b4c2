//! `tls`: the certificate of the encrypted keys of a block.

use super::build::Draft;
use crate::corefile::{Directive, Error, Token, Transport as Scheme};
use crate::tls::{CertificateSpec, ClientAuth};

/// The Corefile's word.
pub(super) const WORD: &str = "tls";

/// How it is written.
pub(super) const SYNTAX: &str = "\
tls CERT KEY [CA] [{
    client_auth nocert|request|require|verify_if_given|require_and_verify
}]";

/// What it does.
pub(super) const HELP: &str =
    "serves tls://, https://, https3:// and quic:// with this certificate, read again when its files change";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if let Some(line) = directive.lines().iter().find(|line| line.word.text == "acme") {
        return Err(line.word.error("`acme` is not served").hint(
            "let cert-manager or another client of ACME keep CERT and KEY: their files are read again when they change",
        ));
    }
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Err(directive.error("`tls` is in this block already"));
    }
    let [certificate, key, rest @ ..] = directive.expect_args(2..=3)? else {
        return Err(directive.error("a certificate and its key are needed"));
    };
    let mut client_auth = ClientAuth::None;
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "client_auth" => client_auth = mode(line.only_arg()?)?,
            "keylog" => {
                return Err(line
                    .word
                    .error("`keylog` is not served: whoever reads that file reads every connection")
                    .hint("remove the line, and have the client write its keys (SSLKEYLOGFILE)"));
            }
            _ => return Err(line.word.unknown("an option of `tls`", &["client_auth"])),
        }
    }
    let authority: Option<&Token> = rest.first();
    if let Some(authority) = authority
        && !client_auth.verifies()
    {
        draft.warnings.push(format!(
            "{}: `{}` checks nobody without `client_auth verify_if_given` or `require_and_verify`",
            authority.at, authority.text
        ));
    }
    if draft.block.keys.iter().all(|key| key.transport == Scheme::Dns) {
        draft.warnings.push(format!(
            "{}: `tls` changes nothing here: no key of the block is encrypted (`tls://`, `https://`, `https3://`, `quic://`)",
            directive.word.at
        ));
        return Ok(());
    }
    let spec = CertificateSpec {
        certificate: draft.path(&certificate.text),
        key: draft.path(&key.text),
        authority: authority.map(|token| draft.path(&token.text)),
        client_auth,
    };
    draft.entry.tls = draft.parts.certificates(&spec).map_err(|why| directive.error(why))?;
    Ok(())
}

/// Reads what is asked of clients.
fn mode(token: &Token) -> Result<ClientAuth, Error> {
    let known = ClientAuth::ALL.iter().find(|(word, _)| *word == token.text);
    let words = ClientAuth::ALL.map(|(word, _)| word);
    Ok(known.ok_or_else(|| token.unknown("what can be asked of clients", &words))?.1)
}

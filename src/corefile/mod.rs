//! Text to a typed, located [`Spec`]: the Corefile as CoreDNS reads it.
//!
//! ```text
//!                 Source: import files, environment
//!                          │
//!  text ── lexer ──► stream ──► parser ──► keys (key, zone) ──► overlap ──► Spec ── chain::build ──► Plan
//!          tokens,    import and {$VAR}   blocks and            no zone      │
//!          located    opened in place     directive lines       twice        └── print ──► canonical text
//! ```
//!
//! The room knows the *form* of a Corefile, not its words: a directive is a word, arguments and perhaps a block
//! of lines in braces. What a word means is asked later, and complaints about it are made at its token with
//! [`Token::error`] or [`Directive::error`]. `bind` and `view` alone are looked at here, because they decide
//! whether two blocks may serve the same zone (rule S-02).
//!
//! **Invariants**
//!
//! * Nothing in this room opens a socket or resolves a name; files and variables arrive through a [`Source`], of which
//!   [`Disk`] is the real one.
//! * No input panics or hangs: a file has at most 1 MiB, all files 16 MiB, a configuration 100,000 tokens, braces
//!   nest 32 deep, imports too.
//! * Every token knows where it stands, through imports and snippets, so every error can show its line.
//! * `print` after `parse` is a fixed point: what it writes parses to the same blocks and prints the same text.
//!
//! **The dialect**, where CoreDNS's reader leaves a choice
//!
//! * `#` starts a comment anywhere outside quotes, up to the end of the line. A backslash joins no lines.
//! * `"…"` is one token and may span lines; `\"` is a quote, any other backslash stays. A quote left open is an error
//!   (CoreDNS reads on to the end of the file). A quoted `"{"` or `"import"` is text, never structure.
//! * `{$VAR}` and `{%VAR%}` are replaced in every token, also inside quotes; a value may name further variables; an
//!   unset one is empty and warned about. A value never becomes
//!   a brace, a comment or a second argument; only in a key line it is cut at commas.
//! * `__PILLAR__NAME__`, which the manifests of node-local-dns leave open, is filled in by the source; one without a value is an
//!   error.
//! * `{` may stand at the end of the key line or alone on the next one; for a directive it must stand on its line.
//!   `}` closes a server block at the start of a line only; inside a directive's block it may end a line.
//! * The last block may leave its braces away: everything after its key line is then its contents.
//! * `import` takes one snippet, file or glob; snippets come first, must be defined above, and take no arguments.
//!   A glob without a match is a warning, a plain file that is missing an error.
//!
//! Source: `caddyfile` of the coredns/caddy module; coredns `core/dnsserver/register.go`, `address.go` and
//! `plugin/normalize.go`.

mod arguments;
mod error;
mod glob;
mod key;
mod lexer;
mod location;
mod overlap;
mod parser;
mod placeholders;
mod print;
mod source;
mod spec;
mod stream;
#[cfg(test)]
mod tests;
mod variables;
mod warning;
mod zone;

pub use arguments::nearest;
pub use error::{Error, Problem};
pub use location::Location;
pub use parser::parse;
pub use print::{print, print_line};
pub use source::{Disk, ImportFault, NoImports, Source, read_text, utf8};
pub use spec::{Block, Directive, Key, Spec, Token, Transport};
pub use warning::{Notice, Warning};
pub use zone::{Zone, ZoneFault, zones};

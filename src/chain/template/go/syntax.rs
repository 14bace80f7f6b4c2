//! Actions to nodes: every expression has its kind, every name is known, or the template is refused.

use super::format;
use super::lexer::{Piece, Word, pieces};
use super::nodes::{Expr, Function, Known, Node, Part, Template};
use super::value::Kind;
use crate::chain::expression;

/// The deepest nesting of actions and of parentheses.
const DEEPEST: usize = 32;

/// An expression and what it gives.
struct Typed {
    /// The expression.
    expr: Expr,
    /// What it gives.
    kind: Kind,
}

impl Typed {
    /// A part of the data.
    fn part(part: Part, kind: Kind) -> Self {
        Self { expr: Expr::Part(part), kind }
    }
}

/// What stands in an action, before it is known what is done with it.
enum Operand {
    /// A value.
    Value(Typed),
    /// `.Meta`, which needs a label.
    Meta,
    /// A function's name.
    Function(String),
}

/// A variable in reach.
struct Variable {
    /// Its name.
    name: String,
    /// What it holds.
    kind: Kind,
    /// Its place.
    slot: usize,
}

/// How a list of nodes ended.
enum Ended {
    /// At the end of the text.
    Text,
    /// At `end`.
    End,
    /// At `else`, with what follows it.
    Else(Vec<Word>),
}

/// The reader.
struct Reader<'k> {
    /// Pieces to come, the first last.
    pieces: Vec<Piece>,
    /// What is known of groups.
    known: &'k Known,
    /// Variables in reach.
    variables: Vec<Variable>,
    /// How many variables there were.
    slots: usize,
    /// What the dot is; the innermost last.
    dots: Vec<Kind>,
    /// How many `range` are open.
    ranges: usize,
    /// How deep actions are nested.
    depth: usize,
}

impl Template {
    /// Reads a template.
    ///
    /// Errors: what is wrong, in words.
    pub(in crate::chain::template) fn parse(text: &str, known: &Known) -> Result<Self, String> {
        let mut pieces = pieces(text)?;
        pieces.reverse();
        let mut reader = Reader {
            pieces,
            known,
            variables: Vec::new(),
            slots: 0,
            dots: vec![Kind::Data],
            ranges: 0,
            depth: 0,
        };
        match reader.list()? {
            (nodes, Ended::Text) => Ok(Self { nodes, slots: reader.slots, source: text.to_owned() }),
            (_, Ended::End) => Err("`end` ends nothing".to_owned()),
            (_, Ended::Else(_)) => Err("`else` stands outside of `if`, `with` and `range`".to_owned()),
        }
    }

    /// Its text, if no query changes it.
    pub(in crate::chain::template) fn constant(&self) -> Option<&str> {
        match self.nodes.as_slice() {
            [] => Some(""),
            [Node::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Its text as written.
    pub(in crate::chain::template) fn source(&self) -> &str {
        &self.source
    }
}

impl Reader<'_> {
    /// Nodes up to the end of a list.
    fn list(&mut self) -> Result<(Vec<Node>, Ended), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.pop() {
            let words = match piece {
                Piece::Text(text) => {
                    // Neighbours, as a comment leaves them, are one text.
                    match nodes.last_mut() {
                        Some(Node::Text(before)) => before.push_str(&text),
                        _ => nodes.push(Node::Text(text)),
                    }
                    continue;
                }
                Piece::Action(words) => words,
            };
            let rest = words.get(1..).unwrap_or_default();
            match words.first() {
                None => return Err("nothing stands between `{{` and `}}`".to_owned()),
                Some(Word::Name(name)) => match (name.as_str(), rest.is_empty()) {
                    ("end", true) => return Ok((nodes, Ended::End)),
                    ("else", _) => return Ok((nodes, Ended::Else(rest.to_vec()))),
                    ("if" | "with" | "range", _) => nodes.push(self.control(name, rest)?),
                    ("break" | "continue", true) if self.ranges == 0 => {
                        return Err(format!("`{name}` stands outside of `range`"));
                    }
                    ("break", true) => nodes.push(Node::Break),
                    ("continue", true) => nodes.push(Node::Continue),
                    ("define" | "block" | "template", _) => {
                        return Err(format!("`{name}` is not supported: write it out"));
                    }
                    _ => nodes.push(self.statement(&words)?),
                },
                Some(_) => nodes.push(self.statement(&words)?),
            }
        }
        Ok((nodes, Ended::Text))
    }

    /// A variable that gets a value, or an expression that is printed.
    fn statement(&mut self, words: &[Word]) -> Result<Node, String> {
        if let [Word::Variable(name), how @ (Word::Declare | Word::Assign), rest @ ..] = words {
            let value = self.whole(rest)?;
            if *how == Word::Declare {
                return Ok(Node::Let(self.declare(name, value.kind)?, value.expr));
            }
            let known = self.variables.iter().rev().find(|variable| variable.name == *name);
            let variable = known.ok_or_else(|| format!("`${name}` is not declared"))?;
            if variable.kind != value.kind {
                return Err(format!(
                    "`${name}` holds {}, and this is {}",
                    variable.kind.text(),
                    value.kind.text()
                ));
            }
            return Ok(Node::Let(variable.slot, value.expr));
        }
        let value = self.whole(words)?;
        if !value.kind.prints() {
            let how = if value.kind == Kind::Mixed { "use `if`" } else { "name a part of it" };
            return Err(format!("{} has no text of its own: {how}", value.kind.text()));
        }
        Ok(Node::Print(value.expr))
    }

    /// A new variable.
    fn declare(&mut self, name: &str, kind: Kind) -> Result<usize, String> {
        if name.is_empty() {
            return Err("`$` is all of the data and cannot be declared".to_owned());
        }
        let slot = self.slots;
        self.slots += 1;
        self.variables.push(Variable { name: name.to_owned(), kind, slot });
        Ok(slot)
    }

    /// `if`, `with` and `range` up to their `end`.
    fn control(&mut self, word: &str, words: &[Word]) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("actions are nested more than {DEEPEST} deep"));
        }
        let reach = self.variables.len();
        let node = match word {
            "range" => self.range(words)?,
            _ => self.condition(word == "with", words)?,
        };
        self.variables.truncate(reach);
        self.depth -= 1;
        Ok(node)
    }

    /// `if` or `with`.
    fn condition(&mut self, with: bool, words: &[Word]) -> Result<Node, String> {
        let (name, rest) = match words {
            [Word::Variable(name), Word::Declare, rest @ ..] => (Some(name), rest),
            _ => (None, words),
        };
        let condition = self.whole(rest)?;
        let slot = name.map(|name| self.declare(name, condition.kind)).transpose()?;
        if with {
            self.dots.push(condition.kind);
        }
        let (then, ended) = self.list()?;
        if with {
            self.dots.pop();
        }
        let otherwise = self.otherwise(if with { "with" } else { "if" }, ended)?;
        Ok(Node::If { condition: condition.expr, slot, with, then, otherwise })
    }

    /// `range`.
    fn range(&mut self, words: &[Word]) -> Result<Node, String> {
        let (names, rest): (Vec<&String>, &[Word]) = match words {
            [Word::Variable(key), Word::Comma, Word::Variable(value), Word::Declare, rest @ ..] => {
                (vec![key, value], rest)
            }
            [Word::Variable(value), Word::Declare, rest @ ..] => (vec![value], rest),
            _ => (Vec::new(), words),
        };
        let over = self.whole(rest)?;
        let (key, value) = match over.kind {
            Kind::Texts => (Kind::Number, Kind::Text),
            Kind::Groups => (Kind::Text, Kind::Text),
            Kind::Number => (Kind::Number, Kind::Number),
            other => return Err(format!("`range` cannot go through {}", other.text())),
        };
        let mut slots = (None, None);
        match names.as_slice() {
            [only] => slots.1 = Some(self.declare(only, value)?),
            [_, _] if over.kind == Kind::Number => {
                return Err("`range` over a number gives one value".to_owned());
            }
            [first, second] => {
                slots = (Some(self.declare(first, key)?), Some(self.declare(second, value)?));
            }
            _ => {}
        }
        self.dots.push(value);
        self.ranges += 1;
        let (body, ended) = self.list()?;
        self.ranges -= 1;
        self.dots.pop();
        let otherwise = self.otherwise("range", ended)?;
        Ok(Node::Range { over: over.expr, key: slots.0, value: slots.1, body, otherwise })
    }

    /// What follows the first list of a control: nothing, or `else` and another list.
    fn otherwise(&mut self, word: &str, ended: Ended) -> Result<Vec<Node>, String> {
        let words = match ended {
            Ended::End => return Ok(Vec::new()),
            Ended::Text => return Err(format!("`{word}` has no `end`")),
            Ended::Else(words) => words,
        };
        match words.split_first() {
            None => match self.list()? {
                (nodes, Ended::End) => Ok(nodes),
                (_, Ended::Text) => Err(format!("`{word}` has no `end`")),
                (_, Ended::Else(_)) => Err(format!("`{word}` has two `else`")),
            },
            // One `end` ends both.
            Some((Word::Name(next), rest)) if next == word && word != "range" => {
                Ok(vec![self.control(word, rest)?])
            }
            Some(_) => Err(format!("nothing but `{word}` may follow `else` here")),
        }
    }

    /// The one expression that all words make.
    fn whole(&mut self, words: &[Word]) -> Result<Typed, String> {
        let mut rest = words;
        let value = self.pipeline(&mut rest)?;
        match rest.first() {
            None => Ok(value),
            Some(Word::Close) => Err("a `)` closes nothing".to_owned()),
            Some(_) => Err("a word is out of place".to_owned()),
        }
    }

    /// Commands with `|` between them, up to a `)` or the end.
    fn pipeline(&mut self, rest: &mut &[Word]) -> Result<Typed, String> {
        let mut value = self.command(rest, None)?;
        while let Some((Word::Pipe, behind)) = rest.split_first() {
            *rest = behind;
            value = self.command(rest, Some(value))?;
        }
        Ok(value)
    }

    /// A function or value with its arguments; `before` is what a `|` hands over as the last one.
    fn command(&mut self, rest: &mut &[Word], before: Option<Typed>) -> Result<Typed, String> {
        let first = self.operand(rest)?;
        let mut arguments = Vec::new();
        while !matches!(rest.first(), None | Some(Word::Pipe | Word::Close)) {
            match self.operand(rest)? {
                Operand::Value(value) => arguments.push(value),
                Operand::Meta => return Err("put `.Meta` and its label in parentheses".to_owned()),
                Operand::Function(name) => {
                    return Err(format!("put `{name}` and its arguments in parentheses"));
                }
            }
        }
        arguments.extend(before);
        match first {
            Operand::Value(value) if arguments.is_empty() => Ok(value),
            Operand::Value(_) => Err("only a function can be given arguments".to_owned()),
            Operand::Meta => match <[Typed; 1]>::try_from(arguments) {
                Ok([label]) if label.kind == Kind::Text => {
                    Ok(Typed { expr: Expr::Meta(Box::new(label.expr)), kind: Kind::Text })
                }
                _ => Err("`.Meta` takes one text: the label".to_owned()),
            },
            Operand::Function(name) => call(&name, arguments, self.known),
        }
    }

    /// One value or name.
    fn operand(&mut self, rest: &mut &[Word]) -> Result<Operand, String> {
        let Some((word, behind)) = rest.split_first() else { return Err("a value is missing".to_owned()) };
        *rest = behind;
        let value = match word {
            Word::Text(text) => Typed { expr: Expr::Text(text.clone()), kind: Kind::Text },
            Word::Number(number) => Typed { expr: Expr::Number(*number), kind: Kind::Number },
            Word::Name(name) => match name.as_str() {
                "true" | "false" => Typed { expr: Expr::Truth(name == "true"), kind: Kind::Truth },
                "nil" => return Err("`nil` is not supported".to_owned()),
                _ => return Ok(Operand::Function(name.clone())),
            },
            Word::Dot => self.dot(),
            Word::Field { name, .. } => return self.fields(self.dot(), name, rest),
            Word::Variable(name) if name.is_empty() => Typed::part(Part::Whole, Kind::Data),
            Word::Variable(name) => {
                let known = self.variables.iter().rev().find(|variable| variable.name == *name);
                let variable = known.ok_or_else(|| format!("`${name}` is not declared"))?;
                Typed { expr: Expr::Slot(variable.slot), kind: variable.kind }
            }
            Word::Open => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(format!("parentheses are nested more than {DEEPEST} deep"));
                }
                let value = self.pipeline(rest)?;
                self.depth -= 1;
                match rest.split_first() {
                    Some((Word::Close, behind)) => *rest = behind,
                    _ => return Err("a `(` is not closed".to_owned()),
                }
                value
            }
            Word::Pipe | Word::Close | Word::Comma | Word::Declare | Word::Assign => {
                return Err("a value is missing".to_owned());
            }
        };
        match rest.first() {
            Some(Word::Field { name, glued: true }) => {
                *rest = rest.get(1..).unwrap_or_default();
                self.fields(value, name, rest)
            }
            _ => Ok(Operand::Value(value)),
        }
    }

    /// The dot.
    fn dot(&self) -> Typed {
        let kind = self.dots.last().copied().unwrap_or(Kind::Data);
        // Before any `with` or `range` it is all of the data.
        let expr = if self.dots.len() == 1 { Expr::Part(Part::Whole) } else { Expr::Dot };
        Typed { expr, kind }
    }

    /// A field of a value, and the fields glued to it.
    fn fields(&self, of: Typed, name: &str, rest: &mut &[Word]) -> Result<Operand, String> {
        let Some(mut value) = self.field(&of, name)? else { return Ok(Operand::Meta) };
        while let Some((Word::Field { name, glued: true }, behind)) = rest.split_first() {
            *rest = behind;
            value = self.field(&value, name)?.ok_or_else(|| "`.Meta` is a part of `$` only".to_owned())?;
        }
        Ok(Operand::Value(value))
    }

    /// A field of a value; `None` for `.Meta`.
    fn field(&self, of: &Typed, name: &str) -> Result<Option<Typed>, String> {
        let parts: &[(&str, Part, Kind)] = match of.kind {
            Kind::Data => &[
                ("Zone", Part::Zone, Kind::Text),
                ("Name", Part::Name, Kind::Text),
                ("Regex", Part::Regex, Kind::Text),
                ("Match", Part::Match, Kind::Texts),
                ("Group", Part::Group, Kind::Groups),
                ("Var", Part::Whole, Kind::Variables),
                ("Class", Part::Class, Kind::Text),
                ("Type", Part::Type, Kind::Text),
                ("Message", Part::Whole, Kind::Message),
                ("Question", Part::Whole, Kind::Question),
                ("Remote", Part::Remote, Kind::Text),
            ],
            Kind::Question => &[
                ("Name", Part::QuestionName, Kind::Text),
                ("Qtype", Part::QuestionType, Kind::Number),
                ("Qclass", Part::QuestionClass, Kind::Number),
            ],
            Kind::Message => &[
                ("Id", Part::Id, Kind::Number),
                ("Opcode", Part::Opcode, Kind::Number),
                ("Rcode", Part::Zero, Kind::Number),
                ("Response", Part::Flag(0x8000), Kind::Truth),
                ("Authoritative", Part::Flag(0x0400), Kind::Truth),
                ("Truncated", Part::Flag(0x0200), Kind::Truth),
                ("RecursionDesired", Part::Flag(0x0100), Kind::Truth),
                ("RecursionAvailable", Part::Flag(0x0080), Kind::Truth),
                ("Zero", Part::Flag(0x0040), Kind::Truth),
                ("AuthenticatedData", Part::Flag(0x0020), Kind::Truth),
                ("CheckingDisabled", Part::Flag(0x0010), Kind::Truth),
                ("Question", Part::Whole, Kind::Questions),
            ],
            Kind::Groups => {
                if !self.known.groups.iter().any(|known| known == name) {
                    return Err(format!("no `match` has a group `{name}`"));
                }
                return Ok(Some(Typed { expr: Expr::Group(name.to_owned()), kind: Kind::Text }));
            }
            Kind::Variables => {
                let mut known = self.known.variables.iter().enumerate();
                let found = known.find(|(_, (known, _))| known == name);
                let (place, (_, kind)) = found.ok_or_else(|| format!("no `var` is named `{name}`"))?;
                let kind = match kind {
                    expression::Kind::Text => Kind::Text,
                    expression::Kind::Number => Kind::Number,
                    expression::Kind::Truth => Kind::Truth,
                };
                return Ok(Some(Typed { expr: Expr::Variable(place), kind }));
            }
            Kind::Text | Kind::Number | Kind::Truth | Kind::Texts | Kind::Questions | Kind::Mixed => {
                return Err(format!("{} has no part `{name}`", of.kind.text()));
            }
        };
        if of.kind == Kind::Data && name == "Meta" {
            return Ok(None);
        }
        let found = parts.iter().find(|(known, ..)| *known == name);
        let known: Vec<&str> = parts.iter().map(|(known, ..)| *known).collect();
        match found {
            Some((_, part, kind)) => Ok(Some(Typed::part(*part, *kind))),
            None => Err(format!("{} has no part `{name}`; it has {}", of.kind.text(), known.join(", "))),
        }
    }
}

/// A function with its arguments, checked.
fn call(name: &str, arguments: Vec<Typed>, known: &Known) -> Result<Typed, String> {
    use Kind::{Groups, Number, Questions, Text, Texts, Truth};
    let kinds: Vec<Kind> = arguments.iter().map(|argument| argument.kind).collect();
    let takes = |what: &str| Err(format!("`{name}` takes {what}"));
    let comparable = |kind: &Kind| matches!(kind, Text | Number | Truth);
    let same = kinds.first().is_some_and(|first| kinds.iter().all(|kind| kind == first));
    let (function, kind) = match (name, kinds.as_slice()) {
        ("printf", _) => return printf(arguments),
        ("and" | "or", []) => return takes("at least one value"),
        ("and" | "or", [first, ..]) => (
            if name == "and" { Function::And } else { Function::Or },
            if same { *first } else { Kind::Mixed },
        ),
        ("not", [_]) => (Function::Not, Truth),
        ("not", _) => return takes("one value"),
        ("eq", [first, _, ..]) if same && comparable(first) => (Function::Eq, Truth),
        ("eq", _) => return takes("two texts, numbers or truths, or more"),
        ("ne", [first, _]) if same && comparable(first) => (Function::Ne, Truth),
        ("ne", _) => return takes("two texts, numbers or truths"),
        ("lt" | "le" | "gt" | "ge", [Text, Text] | [Number, Number]) => {
            let function = match name {
                "lt" => Function::Lt,
                "le" => Function::Le,
                "gt" => Function::Gt,
                _ => Function::Ge,
            };
            (function, Truth)
        }
        ("lt" | "le" | "gt" | "ge", _) => return takes("two texts or two numbers"),
        ("len", [Text | Texts | Groups]) => (Function::Len, Number),
        ("len", [Kind::Variables]) => {
            let count = i128::try_from(known.variables.len()).unwrap_or(0);
            return Ok(Typed { expr: Expr::Number(count), kind: Number });
        }
        ("len", _) => return takes("a text, `.Match`, `.Group` or `.Var`"),
        ("index", [Texts, Number]) => {
            if let Some(Expr::Number(place)) = arguments.get(1).map(|argument| &argument.expr)
                && usize::try_from(*place).ok().is_none_or(|place| place >= known.matches)
            {
                return Err(format!("`.Match` has no text {place}: no `match` has so many groups"));
            }
            (Function::Index, Text)
        }
        ("index", [Groups, Text]) => {
            if let Some(Expr::Text(group)) = arguments.get(1).map(|argument| &argument.expr)
                && !known.groups.contains(group)
            {
                return Err(format!("no `match` has a group `{group}`"));
            }
            (Function::Index, Text)
        }
        ("index", [Text, Number]) => (Function::Index, Number),
        ("index", [Questions, Number]) => match arguments.get(1).map(|argument| &argument.expr) {
            Some(Expr::Number(0)) => return Ok(Typed::part(Part::Whole, Kind::Question)),
            _ => return Err("a query has one question: `index .Message.Question 0`".to_owned()),
        },
        ("index", _) => return takes("`.Match` and a number, or `.Group` and a name"),
        ("slice", [Text] | [Text, Number] | [Text, Number, Number]) => (Function::Slice, Text),
        ("slice", _) => return takes("a text, where it begins and where it ends"),
        ("print" | "println", kinds) if kinds.iter().all(|kind| kind.prints()) => {
            (if name == "print" { Function::Print } else { Function::Println }, Text)
        }
        ("parseInt", [Text, Number, Number]) => (Function::ParseInt, Number),
        ("parseInt", _) => return takes("a text, its base and a number of bits"),
        ("html" | "js" | "urlquery" | "call", _) => return Err(format!("`{name}` is not supported")),
        ("else" | "end" | "if" | "with" | "range" | "break" | "continue", _) => {
            return Err(format!("`{name}` is out of place"));
        }
        _ => return Err(format!("there is no function `{name}`")),
    };
    let arguments = arguments.into_iter().map(|argument| argument.expr).collect();
    Ok(Typed { expr: Expr::Call(function, arguments), kind })
}

/// `printf`: its format must be known now.
fn printf(arguments: Vec<Typed>) -> Result<Typed, String> {
    let mut arguments = arguments.into_iter();
    let Some(Typed { expr: Expr::Text(text), .. }) = arguments.next() else {
        return Err("`printf` takes a format that is written out".to_owned());
    };
    let arguments: Vec<Typed> = arguments.collect();
    let kinds: Vec<Kind> = arguments.iter().map(|argument| argument.kind).collect();
    let verbs = format::parse(&text, &kinds)?;
    let expr = Expr::Format(verbs, arguments.into_iter().map(|argument| argument.expr).collect());
    Ok(Typed { expr, kind: Kind::Text })
}

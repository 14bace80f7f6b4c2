//! A step that does what the question's first label says, and writes down what it saw.

use parking_lot::Mutex;

use super::*;

/// What steps saw, in order.
#[derive(Clone, Default)]
pub(super) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    /// Writes a line.
    pub(super) fn write(&self, line: String) {
        self.0.lock().push(line);
    }

    /// Takes all lines.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// What a step does with a question.
pub(super) type Act = Box<dyn Fn(&mut Asked, Option<Answer>, &mut Context<'_>) -> Flow + Send + Sync>;

/// A step whose acts are a closure.
pub(super) struct Scripted {
    /// Its word.
    pub(super) word: &'static str,
    /// Where it writes.
    pub(super) diary: Diary,
    /// What it does; gets `None` at first and what it waited for later.
    pub(super) act: Act,
    /// A question at which `tell` panics.
    pub(super) panic_at_tell: Option<&'static str>,
    /// Whether `sent` is called, and then panics.
    pub(super) panic_at_sent: bool,
}

/// The first label of the question in hand, as text.
pub(super) fn first(asked: &Asked) -> String {
    String::from_utf8_lossy(asked.question.label(0)).into_owned()
}

/// A reply with one address.
pub(super) fn address(asked: &mut Asked, last: u8) -> Flow {
    let mut sections = asked.draft();
    sections.push_address(Section::Answer, crate::wire::Owner::Question, 30, &[192, 0, 2, last]);
    Flow::Reply(Reply::new(Rcode::NOERROR, sections).authoritative())
}

/// Waits for a signal, for so many milliseconds.
pub(super) fn wait(signal: &Arc<Signal>, context: &Context<'_>, millis: u64) -> Flow {
    let until = context.now.plus(Duration::from_millis(millis));
    Flow::Wait(Ask::Signal { signal: signal.clone(), until })
}

impl Scripted {
    /// A step that does `act`.
    pub(super) fn new(
        word: &'static str,
        diary: &Diary,
        act: impl Fn(&mut Asked, Option<Answer>, &mut Context<'_>) -> Flow + Send + Sync + 'static,
    ) -> Box<Self> {
        Box::new(Self {
            word,
            diary: diary.clone(),
            act: Box::new(act),
            panic_at_tell: None,
            panic_at_sent: false,
        })
    }

    /// A step that lets everything pass.
    pub(super) fn pass(word: &'static str, diary: &Diary) -> Box<Self> {
        Self::new(word, diary, |_, _, _| Flow::Next)
    }
}

impl Step for Scripted {
    fn word(&self) -> &'static str {
        self.word
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        self.diary.write(format!("{} ask {}", self.word, first(asked)));
        (self.act)(asked, None, context)
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        let what = match &answer {
            Answer::Reply { reply, question, .. } => {
                format!("{} for {}", reply.head.rcode.text(), String::from_utf8_lossy(question.label(0)))
            }
            Answer::Nobody { .. } => "nobody".to_owned(),
            Answer::Behind { .. } => "behind".to_owned(),
            Answer::Upstream(_) => "upstream".to_owned(),
            Answer::Signalled => "signalled".to_owned(),
            Answer::TimedOut => "timed out".to_owned(),
        };
        self.diary.write(format!("{} resume {}: {what}", self.word, first(asked)));
        (self.act)(asked, Some(answer), context)
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, _: &mut Context<'_>) {
        self.diary.write(format!("{} tell {}: {}", self.word, first(asked), reply.head.rcode.text()));
        assert_ne!(self.panic_at_tell, Some(&*first(asked)), "scripted");
    }

    fn writes_down(&self) -> bool {
        self.panic_at_sent
    }

    fn sent(&self, asked: &Asked, _: &Sent, _: &Chain) {
        assert_ne!(asked.sent().label(0), b"unwritable", "scripted");
    }
}

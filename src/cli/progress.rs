//! How far a command is that takes long: a line on standard error, for whoever looks at it.

use std::cell::Cell;
use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::context::Context;
use super::phrases::number;
use crate::ledger::Stage;

/// What is done sooner than this is not worth a line.
const PATIENCE: Duration = Duration::from_millis(400);

/// A line that is there while this is: what is done, how far, how fast, how long yet.
///
/// It appears on a terminal only, and never beside an answer for programs or with `--quiet`.
pub struct Progress {
    bar: ProgressBar,
    /// When the line is due; none when it is there, or must not be.
    due: Cell<Option<Instant>>,
}

impl Progress {
    /// Begins a line; what is done is the text with the key `progress.<what>`.
    pub fn begin(ctx: &Context, what: &str) -> Self {
        let template = ctx.language.find("progress.line").expect("the texts have the line");
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        let style = style.with_key("rate", rate).with_key("left", left);
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let bar = bar.with_style(style).with_message(ctx.say(&format!("progress.{what}"), &[]));
        let wanted = !ctx.quiet && !ctx.json;
        Self { bar, due: Cell::new(wanted.then(|| Instant::now() + PATIENCE)) }
    }

    /// So much is done, of so much in all.
    pub fn at(&self, done: u64, all: u64) {
        if self.due.get().is_some_and(|due| due <= Instant::now()) {
            self.due.set(None);
            // Not drawn where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(all);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The lines of work that has several stages, one after the other.
pub struct Stages<'a, S> {
    ctx: &'a Context,
    /// The text of a stage is that with the key `progress.<word>`.
    word: fn(S) -> &'static str,
    line: Cell<Option<(S, Progress)>>,
}

impl<'a, S: Copy + PartialEq> Stages<'a, S> {
    /// No line yet.
    pub fn new(ctx: &'a Context, word: fn(S) -> &'static str) -> Self {
        Self { ctx, word, line: Cell::new(None) }
    }

    /// So much is done of this stage, of so much in all.
    pub fn at(&self, stage: S, done: u64, all: u64) {
        let line = match self.line.take() {
            Some((shown, line)) if shown == stage => line,
            before => {
                // The line before goes first.
                drop(before);
                Progress::begin(self.ctx, (self.word)(stage))
            }
        };
        line.at(done, all);
        self.line.set(Some((stage, line)));
    }

    /// The line goes, until there is more to tell.
    pub fn clear(&self) {
        self.line.take();
    }
}

/// The word for a stage of a ledger that is opened or closed.
pub fn open_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Entries => "open",
        Stage::Index => "save",
    }
}

/// The word for a stage of a ledger whose index is built.
pub fn index_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Entries => "index",
        Stage::Index => "save",
    }
}

/// How many a second.
fn rate(state: &ProgressState, line: &mut dyn Write) {
    // A line that cannot be written is none.
    let _ = line.write_str(&number(state.per_sec() as u64));
}

/// How long yet, in hours, minutes and seconds.
fn left(state: &ProgressState, line: &mut dyn Write) {
    let _ = line.write_str(&clock(state.eta().as_secs()));
}

fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_as_a_clock_does() {
        let told = [0, 7, 60, 3599, 3600, 36_061].map(clock);
        assert_eq!(told, ["0:00", "0:07", "1:00", "59:59", "1:00:00", "10:01:01"]);
    }
}

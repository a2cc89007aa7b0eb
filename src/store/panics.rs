//! Turns panics of the embedded database into errors.
//!
//! sled asserts what it reads: one flipped bit on disk can make it panic, in the calling thread or
//! in one of its own. A ledger must report that as damage, in one line, and without a backtrace on
//! a screen. This needs a build with unwinding panics, the default.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

/// The start of the names that sled gives to its threads, which catch their panics themselves.
const DATABASE_THREAD: &str = "sled-io-";

thread_local! {
    /// Whether this thread is inside [`contained`].
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call`; a panic inside is not printed and becomes its message.
///
/// What `call` touches may be left half-changed by a panic: the caller stops using it.
pub(super) fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    silence_contained_panics();
    let outer = CONTAINED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    CONTAINED.set(outer);
    result.map_err(message)
}

/// Installs, once in the life of the process, a panic hook that stays silent for contained panics
/// and passes all others to the hook that was there before.
fn silence_contained_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let thread = thread::current();
            let of_database = thread.name().is_some_and(|name| name.starts_with(DATABASE_THREAD));
            if !of_database && !CONTAINED.get() {
                previous(info);
            }
        }));
    });
}

/// The first line of a panic's message.
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().copied().unwrap_or("panic").to_owned(),
    };
    text.lines().next().unwrap_or("panic").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_first_line_of_its_message() {
        assert_eq!(contained(|| 7), Ok(7));
        assert_eq!(contained(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        let formatted = contained(|| panic!("number {}\nsecond line", 3));
        assert_eq!(formatted, Err::<(), _>("number 3".to_owned()));
        assert_eq!(contained(|| panic::panic_any(5)), Err::<(), _>("panic".to_owned()));
    }

    #[test]
    fn containment_ends_with_the_outermost_call() {
        contained(|| {
            assert_eq!(contained(|| panic!("inner")), Err::<(), _>("inner".to_owned()));
            assert!(CONTAINED.get());
        })
        .unwrap();
        assert!(!CONTAINED.get());
    }
}

//! The keys of whoever sits at the terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use engine::told::{Command, Request};
use io::conductor::EngineHandle;
use tokio::sync::Notify;
use units::CommandId;

use crate::terminal;

/// How often the reader looks whether the show is over.
const LOOK: Duration = Duration::from_millis(100);

/// What a key means.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Do(Command),
    /// Pause, or resume where the show is paused.
    PauseOrResume,
    Quit,
}

fn meaning(key: KeyEvent) -> Option<Key> {
    if key.kind != KeyEventKind::Press {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if control => Key::Quit,
        _ if control => return None,
        KeyCode::Char(' ') => Key::Do(Command::Go { list: None }),
        KeyCode::Char('b') => Key::Do(Command::Back { list: None }),
        KeyCode::Char('s') => Key::Do(Command::Stop),
        KeyCode::Char('p') => Key::PauseOrResume,
        KeyCode::Char('!') | KeyCode::Esc => Key::Do(Command::Panic),
        KeyCode::Char('q') => Key::Quit,
        _ => return None,
    })
}

/// The terminal while its keys are read; as it was before, on every way out.
#[derive(Debug)]
pub struct Keys {
    over: Arc<AtomicBool>,
}

impl Keys {
    /// Reads keys from now on, where the input is a terminal and ours to read. `quit` is notified when somebody
    /// wants to leave.
    pub fn read(engine: EngineHandle, quit: Arc<Notify>) -> Option<Self> {
        if !std::io::stdin().is_terminal() || in_the_background() || enable_raw_mode().is_err() {
            return None;
        }
        terminal::set_raw(true);
        restore_on_panic();
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let reader = std::thread::Builder::new().name("keys".into());
        let keys = Self { over };
        reader.spawn(move || read_keys(&engine, &quit, &seen)).ok()?;
        Some(keys)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        restore();
    }
}

fn restore() {
    // A terminal that has gone needs nothing back.
    let _ = disable_raw_mode();
    terminal::set_raw(false);
}

fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}

/// A job in the background that touches the terminal would be stopped by it.
fn in_the_background() -> bool {
    let front = nix::unistd::tcgetpgrp(std::io::stdin());
    front != Ok(nix::unistd::getpgrp())
}

fn read_keys(engine: &EngineHandle, quit: &Notify, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        match event::poll(LOOK) {
            Ok(false) => {}
            Ok(true) => match event::read() {
                Ok(Event::Key(key)) => press(engine, quit, meaning(key)),
                Ok(_) => {}
                Err(_) => return,
            },
            // The terminal has gone; the show goes on.
            Err(_) => return,
        }
    }
}

fn press(engine: &EngineHandle, quit: &Notify, key: Option<Key>) {
    match key {
        None => {}
        Some(Key::Quit) => quit.notify_one(),
        Some(Key::Do(command)) => give(engine, command),
        Some(Key::PauseOrResume) => {
            let paused = engine.glance_blocking().is_ok_and(|glance| glance.paused);
            give(engine, if paused { Command::Resume } else { Command::Pause });
        }
    }
}

/// The story tells what became of it.
fn give(engine: &EngineHandle, command: Command) {
    let id = CommandId(io::chance::uuid().to_string());
    let request = Request { id, command, from: "terminal".to_owned() };
    let _ = engine.command_blocking(request);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
        meaning(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn space_is_go_and_control_c_leaves() {
        let go = Some(Key::Do(Command::Go { list: None }));
        assert_eq!(press(KeyCode::Char(' '), KeyModifiers::NONE), go);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(press(KeyCode::Char('!'), KeyModifiers::SHIFT), Some(Key::Do(Command::Panic)));
    }

    #[test]
    fn keys_without_a_meaning_do_nothing() {
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::Char('s'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Enter, KeyModifiers::NONE), None);
    }
}

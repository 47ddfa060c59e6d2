//! What kind of phone is this? As far as its browser says: each part that it keeps to itself is none.
//!
//! In: the user agent's text, and what User-Agent Client Hints add on secure pages. Out: a [`Device`] for `hello`.
//! Never: a guess.

use serde::{Deserialize, Serialize};
use wire::output::Device;

/// What `navigator.userAgentData` says when it is asked; only some browsers do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hints {
    /// `Pixel 7`; empty on desktops.
    pub model: String,
    /// `14.0.0`.
    pub platform_version: String,
}

/// In the order in which they are looked for: most call themselves Chrome and Safari, too.
const BROWSERS: [(&str, &str); 11] = [
    ("SamsungBrowser/", "Samsung Internet"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
];
/// A page can call itself anything at any length.
const PART_MAX: usize = 48;

/// Reads it out of what the browser says.
pub(crate) fn device(user_agent: &str, hints: &Hints) -> Device {
    let system = within(user_agent, "(", ")").unwrap_or("");
    let (os, model) = android(system).or_else(|| apple(system)).unwrap_or((desktop(system), None));
    let os = os.map(|os| match major(&hints.platform_version) {
        Some(version) if os.starts_with("Android") => format!("Android {version}"),
        _ => os,
    });
    let hinted = Some(hints.model.clone()).filter(|model| !model.is_empty());
    let part = |text: Option<String>| text.map(|it| it.chars().take(PART_MAX).collect::<String>());
    Device { model: part(hinted.or(model)), os: part(os), browser: part(browser(user_agent)) }
}

type OsAndModel = (Option<String>, Option<String>);

/// `Linux; Android 13; Pixel 7 Build/…`, or `Android 14; Mobile; …` of Firefox. Chrome says `Android 10; K` of all.
fn android(system: &str) -> Option<OsAndModel> {
    let (_, rest) = system.split_once("Android")?;
    let mut parts = rest.split(';').map(str::trim);
    let version = parts.next().and_then(major);
    let model = parts.next().map(|it| it.split(" Build/").next().unwrap_or(it).to_owned());
    let model = model.filter(|it| !matches!(it.as_str(), "" | "Mobile" | "Tablet" | "wv"));
    if model.as_deref() == Some("K") {
        return Some((Some("Android".into()), None));
    }
    let os = version.map_or("Android".into(), |version| format!("Android {version}"));
    Some((Some(os), model))
}

/// `iPhone; CPU iPhone OS 17_5 like Mac OS X`.
fn apple(system: &str) -> Option<OsAndModel> {
    let model = ["iPhone", "iPad", "iPod"].into_iter().find(|it| system.starts_with(it))?;
    let version = within(system, " OS ", " like").map(|it| it.replace('_', "."));
    let os = version.map_or("iOS".into(), |version| format!("iOS {version}"));
    Some((Some(os), Some(model.into())))
}

fn desktop(system: &str) -> Option<String> {
    let known = [("Windows", "Windows"), ("Mac OS X", "macOS"), ("CrOS", "ChromeOS")];
    let named = known.into_iter().find(|(word, _)| system.contains(word)).map(|(_, name)| name);
    named.or(system.contains("Linux").then_some("Linux")).map(Into::into)
}

fn browser(user_agent: &str) -> Option<String> {
    let (word, name) = BROWSERS.into_iter().find(|(word, _)| user_agent.contains(word))?;
    let version = user_agent.split(word).nth(1).and_then(major);
    Some(version.map_or(name.into(), |version| format!("{name} {version}")))
}

/// The first number of a version.
fn major(text: &str) -> Option<u32> {
    let digits = text.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

fn within<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = text.split_once(from)?.1;
    Some(rest.split_once(to)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(user_agent: &str) -> [Option<String>; 3] {
        let Device { model, os, browser } = device(user_agent, &Hints::default());
        [model, os, browser]
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn browsers_are_told_from_what_they_call_themselves() {
        let cases = [
            (
                "Mozilla/5.0 (Linux; Android 13; Pixel 7 Build/TQ3A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.0.0 Mobile Safari/537.36",
                [some("Pixel 7"), some("Android 13"), some("Chrome 99")],
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                [None, some("Android"), some("Chrome 126")],
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                [some("iPhone"), some("iOS 17.5"), some("Safari 17")],
            ),
            (
                "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
                [None, some("Android 14"), some("Firefox 127")],
            ),
            (
                "Mozilla/5.0 (Linux; Android 12; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                [some("SM-G991B"), some("Android 12"), some("Samsung Internet 25")],
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
                [None, some("Linux"), some("Chrome 140")],
            ),
            ("", [None, None, None]),
            ("((((;;;Android", [None, None, None]),
        ];
        for (user_agent, wanted) in cases {
            assert_eq!(known(user_agent), wanted, "{user_agent}");
        }
    }

    #[test]
    fn hints_say_what_the_user_agent_keeps_to_itself() {
        let hints = Hints { model: "Pixel 8".into(), platform_version: "15.0.0".into() };
        let found = device(
            "Mozilla/5.0 (Linux; Android 10; K) Chrome/126.0.0.0 Mobile Safari/537.36",
            &hints,
        );
        assert_eq!((found.model, found.os), (some("Pixel 8"), some("Android 15")));
    }
}

//! What a phone decides, pure: clock estimate, what to sound and show when. Never here: a browser, a clock.

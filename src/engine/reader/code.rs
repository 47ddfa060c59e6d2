//! The stable names of findings. Editors and scripts hold on to them: they are added to, never renamed.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
        /// All of them, in the order of the documentation.
        pub const ALL: &[&str] = &[$($text),*];
    };
}

codes! {
    /// Not TOML.
    SYNTAX = "syntax";
    /// A file of the show that cannot be read.
    FILE_UNREADABLE = "file-unreadable";
    /// A file that is included a second time.
    INCLUDED_TWICE = "included-twice";
    /// A path that leaves the show folder.
    PATH_OUTSIDE = "path-outside";
    /// A key nobody knows.
    UNKNOWN_KEY = "unknown-key";
    /// A key that has to be there.
    MISSING_KEY = "missing-key";
    /// A number where a text belongs, and the like.
    WRONG_TYPE = "wrong-type";
    /// A value outside its range, or not written as it has to be.
    OUT_OF_RANGE = "out-of-range";
    /// A word that is none of the possible ones.
    UNKNOWN_WORD = "unknown-word";
    /// A key that does nothing where it stands (warning).
    NO_EFFECT = "no-effect";
    /// Two things that say where one comes from.
    TWO_SOURCES = "two-sources";
    /// A name that is given twice.
    DUPLICATE_NAME = "duplicate-name";
    /// A cue number that is given twice.
    DUPLICATE_CUE = "duplicate-cue";
    /// A profile that does not exist.
    UNKNOWN_PROFILE = "unknown-profile";
    /// A mode that the fixture's profile does not have.
    UNKNOWN_MODE = "unknown-mode";
    /// A fixture (or group) that does not exist.
    UNKNOWN_FIXTURE = "unknown-fixture";
    /// A look that does not exist.
    UNKNOWN_LOOK = "unknown-look";
    /// A palette that does not exist.
    UNKNOWN_PALETTE = "unknown-palette";
    /// An effect that does not exist.
    UNKNOWN_EFFECT = "unknown-effect";
    /// A master that does not exist.
    UNKNOWN_MASTER = "unknown-master";
    /// A cue list that does not exist.
    UNKNOWN_LIST = "unknown-list";
    /// A track that does not exist.
    UNKNOWN_TRACK = "unknown-track";
    /// A cue that does not exist.
    UNKNOWN_CUE = "unknown-cue";
    /// Two fixtures on one slot.
    ADDRESS_OVERLAP = "address-overlap";
    /// A fixture that reaches beyond slot 512.
    BEYOND_UNIVERSE = "beyond-universe";
    /// Two universes at one Art-Net address.
    PORT_ADDRESS_TAKEN = "port-address-taken";
    /// A universe that nobody can receive.
    NOBODY_RECEIVES = "nobody-receives";
    /// An input that does not exist.
    UNKNOWN_INPUT = "unknown-input";
    /// An input that the show sends itself (warning).
    INPUT_SENT_TOO = "input-sent-too";
    /// A fixture that gets a colour and never any light (warning).
    STAYS_DARK = "stays-dark";
    /// An attribute that the fixture does not have.
    MISSING_ATTRIBUTE = "missing-attribute";
    /// A sound file that is missing or cannot be played.
    MEDIA_UNREADABLE = "media-unreadable";
    /// A recording of light that is missing, damaged or too long.
    CAPTURE_UNREADABLE = "capture-unreadable";
    /// A recording of light that was cut off while it was written (warning).
    CAPTURE_CUT = "capture-cut";
    /// Something that was live when it was recorded was sealed, and is not in it.
    CAPTURE_SEALED = "capture-sealed";
    /// A universe or channel that is to be played and was not recorded.
    NOT_IN_CAPTURE = "not-in-capture";
    /// A sound that begins after its end.
    START_BEYOND_END = "start-beyond-end";
    /// A sound whose fades are longer than it is.
    FADE_LONGER_THAN_SOUND = "fade-longer-than-sound";
    /// A route from a channel that the file does not have.
    NO_SUCH_CHANNEL = "no-such-channel";
    /// Flashes above the safe rate.
    FLASH_TOO_FAST = "flash-too-fast";
    /// The flash limit is switched off (warning).
    FLASH_LIMIT_OFF = "flash-limit-off";
    /// Live sound that only phones with a token hear (warning).
    LIVE_SEALED = "live-sealed";
    /// A show with phones, for a box whose file does not say how they come (warning).
    PHONES_UNTOLD = "phones-untold";
    /// A show, or a list, without a cue.
    NO_CUES = "no-cues";
    /// A cue that does nothing (warning).
    EMPTY_CUE = "empty-cue";
    /// A cue that follows one that never ends.
    NEVER_REACHED = "never-reached";
    /// The last cue of a list that is to go on by itself (warning).
    NOTHING_FOLLOWS = "nothing-follows";
    /// A time of day at a cue that comes by itself anyway (warning).
    AT_UNUSED = "at-unused";
    /// A time of day that has passed when the cue comes to standby (warning).
    AT_PASSED = "at-passed";
    /// A cue whose timecode is not behind that of an earlier one.
    TIMECODE_ORDER = "timecode-order";
    /// A light fade that the next cue cuts short.
    FADE_LONGER_THAN_CUE = "fade-longer-than-cue";
    /// A light fade that a later cue of the same chain runs into (warning).
    FADES_COLLIDE = "fades-collide";
    /// A stop or fade of a cue that has not played by then (warning).
    ACTS_TOO_EARLY = "acts-too-early";
    /// A volume fade of a cue that has no sound (warning).
    FADES_NO_SOUND = "fades-no-sound";
    /// A file that is no fixture of a known library.
    NOT_A_FIXTURE = "not-a-fixture";
    /// Something of an imported fixture that a profile has no place for (warning).
    LEFT_OUT = "left-out";
    /// Two of the box's services on one port.
    PORT_TAKEN = "port-taken";
    /// Phones that share an address, and fewer sockets than that for one (warning).
    LIMIT_TOO_LOW = "limit-too-low";
}

// What crosses the WebAssembly door: the JSON of `src/phone/told.rs`, and what the page needs of the browser.

export type Role = "phone" | "screen" | "performer";

export interface Hints { model: string; platform_version: string }

export interface CoreStart {
  chance: string; unix_ms: number; role: Role; url?: string; user_agent?: string; hints?: Hints; kept?: string; token?: string;
  codecs?: LiveCodec[]; listens?: boolean;
}

export type LiveCodec = "opus" | "pcm16" | "h264" | "vp9";

/** Whether the page may listen. */
export type Ears = "ready" | "insecure" | "refused" | "missing";

export interface OutputStamp { audio_s: number; page_ms: number }

export interface AudioLook {
  event: "audio"; running: boolean; audio_s: number; latency_s: number | null; output: OutputStamp | null;
}

export type Channel = "data_channel" | "web_transport" | "web_socket";

export type PhoneEvent =
  | { event: "tick" | "opened" | "closed" | "tapped" | "woke" | "painted" }
  | { event: "heard"; text: string; at_ms?: number }
  | { event: "time_opened" | "time_closed"; channel: Channel }
  | { event: "time_heard"; channel: Channel; octets: string; at_ms: number }
  | { event: "peer_link"; link: PeerLink }
  | { event: "live_opened" | "live_closed" | "live_undecodable" }
  | LiveHeard
  | { event: "live_refused"; why: SealTrouble }
  | { event: "pictures"; seen: boolean; counts: PictureCounts }
  | { event: "media_ready"; track_id: string; duration_s: number }
  | { event: "media_fetched" | "media_failed" | "media_undecodable"; track_id: string }
  | AudioLook
  | { event: "calibrated"; model: string | null; residual_ms: number | null; sigma_ms: number | null }
  | { event: "battery"; level: number }
  | { event: "nudged"; ms: number }
  | { event: "calibrate"; microphone: Ears };

export interface LiveHeard { event: "live_heard"; text: string; at_ms: number }

/** What has become of live pictures: drawn; of those, stood too long; passed over; too late; lost. */
export interface PictureCounts { shown: number; held: number; skipped: number; late: number; lost: number }

/** Why a piece of what is live is not heard or seen. */
export type SealTrouble = "insecure" | "no_token" | "other_key" | "changed" | "replayed" | "unsealed";

/** Opens what comes sealed, one after the other. */
export interface Seal { hear(event: LiveHeard): Promise<void> }

/** `url` is relative to the box that the page is with. */
export interface Fetch { act: "fetch"; track_id: string; url: string }
export interface Forget { act: "forget"; track_id: string }
export interface Begin {
  act: "begin"; segment: number; voice: number; track_id: string;
  at_s: number; offset_s: number; rate: number; looped: boolean; rise_s: number;
}
export interface Rate { act: "rate"; segment: number; at_s: number; rate: number }
export interface End { act: "end"; segment: number; at_s: number; fall_s: number }
export interface Gain { act: "gain"; voice: number; points: [number, number][] }

export interface Chirp { act: "chirp"; at_s: number }
export interface Listen { act: "listen"; from_s: number; to_s: number }
export interface Deafen { act: "deafen" }
export interface Vibrate { act: "vibrate"; ms: number }
export interface Stock { act: "stock" }
export interface Keep { act: "keep"; text: string }

export type SoundAct = Fetch | Forget | Begin | Rate | End | Gain | Chirp;
export type EarAct = Listen | Deafen;
export type LinkAct =
  | { act: "open"; url: string } | { act: "open_stream" } | { act: "close" } | { act: "send"; text: string } | { act: "ask"; head: string; tail: string };
/** How the peer connection stands. */
export type PeerLink = "connected" | "disconnected" | "closed";

/** Where the box waits for an offer, on `/bloom`. */
export interface PeerDoor { room_id: string; participant_id: string; ice_servers?: RTCIceServer[] }
export type PeerAct = { act: "open_peer"; door: PeerDoor } | { act: "restart_peer" } | { act: "close_peer" };
export interface OpenTime { act: "open_time"; url: string; hashes: string[] }
export interface AskTime { act: "ask_time"; channel: Channel; octets: string; clock_at: number }
export type TimeAct = OpenTime | { act: "close_time" } | AskTime;
export interface SayLive { act: "say_live"; text: string }
/** A chunk of live sound, `data` as base64, drawn out to fill the time between its two audio times. */
export interface LiveAct {
  act: "live"; index: number; codec: LiveCodec; data: string; from_s: number; until_s: number; rise_s: number;
}
export type Act = SoundAct | EarAct | LinkAct | TimeAct | PeerAct | Stock | Keep | Vibrate | SayLive | LiveAct;

export type Doing = "ready" | "playing" | "paused";

export type State =
  | { state: "tap_to_start" | "tap_to_wake" | "connecting" | "finding_the_beat" | "full" | "outdated" }
  | { state: "loading"; ready: number; of: number }
  | { state: "in_step" | "on_own_clock"; bound_ms: number; doing: Doing }
  | { state: "refused"; code: "unauthorized" | "forbidden" | "rate_limited" };

export type OutputSource = "reported" | "table" | "calibrated" | "pooled" | "doubtful" | "unknown";

export interface SyncErrors {
  clock_ms: number | null; output_ms: number | null; output_source: OutputSource; acoustic_ms: number | null;
  /** So much earlier than the browser's word sound is sent off. */
  delay_ms: number;
}

/** What the holder of a phone may do about how it sounds. */
export type Ear = "closed" | "calibrates" | "nudges";

export type DuetTrouble = "insecure" | "not_allowed" | "no_microphone" | "not_in_step" | "misunderstood" | "no_answer"
  | "box_heard_nothing" | "phone_heard_nothing" | "muddled" | "too_late" | "box_is_deaf" | "closed" | "busy" | "taken";
export type DuetNews =
  | { news: "none" | "asking" | "listening" }
  | { news: "failed"; why: DuetTrouble }
  | { news: "refused"; message: string }
  | { news: "found"; late_ms: number; sigma_ms: number };

export interface Look {
  color: string; ink: "dark" | "light"; text: string; title: string;
  /** Whether the phone's own lamp is lit, and whether a cue of the show lights it. */
  torch: boolean; wants_torch: boolean;
  /** Tracks that have come and that this browser cannot play. */
  unplayable: number;
  /** The tap that the phone waits for, else how it fares; and how it fares in any case. */
  state: State; fare: State; still_until_ms: number | null;
  errors: SyncErrors; nudge_ms: number; ear: Ear; duet: { is_on: boolean; news: DuetNews };
  /** Whether the box can calibrate it, as far as anybody knows. */
  calibrates: boolean;
  /** How much sooner it sounds than by its own reckoning, and one standard deviation of that; null where unknown. */
  correction_ms: number | null; correction_sigma_ms: number | null;
}

export interface Turn { acts: Act[]; wake_ms: number; look: Look }

export interface Core {
  /** Something happened at `nowMs` of the page's monotonic clock. */
  handle(nowMs: number, event: PhoneEvent): Turn;
  /** The microphone recorded this from an audio time on. */
  recorded(nowMs: number, rateHz: number, fromS: number, samples: Float32Array): Turn;
  /** The phone's chirp. */
  chirp(rateHz: number): Float32Array;
  /** What to show. */
  look(nowMs: number): Look;
  /** Network time, milliseconds since 1970, as this phone has it. */
  netMs(nowMs: number): number;
}

export interface CoreExports extends WebAssembly.Exports {
  memory: WebAssembly.Memory;
  phone_input(len: number): number;
  phone_begin(nowMs: number): number;
  phone_handle(nowMs: number): number;
  phone_look(nowMs: number): number;
  phone_net_ms(nowMs: number): number;
  phone_recorded(nowMs: number, rateHz: number, fromS: number): number;
  phone_chirp(rateHz: number): void;
  phone_output(): number;
  phone_output_len(): number;
}

export interface Link { perform(act: LinkAct): void }

/** What carries messages while it is open; it tells of itself by events. */
export interface Carrier { say(text: string): void; close(): void }

export interface ByteStream { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> }

export interface Time {
  perform(act: TimeAct): void;
  /** A stream in the session that there is. */
  stream(): Promise<ByteStream>;
}

export interface Peer {
  perform(act: PeerAct): void;
  /** A question on the channel `time`. */
  ask(act: AskTime): void;
  /** Says something on the channel `media`. */
  sayLive(act: SayLive): void;
  /** Somebody touched the page: a track may be heard from now on. */
  tapped(): void;
  /** The open channels by their labels. */
  channels(): { [label: string]: RTCDataChannel };
}

/** A packet of Opus to the samples of each channel. */
export type Opus = (packet: Uint8Array) => Float32Array[];

export interface OpusExports extends WebAssembly.Exports {
  memory: WebAssembly.Memory;
  opus_input(): number;
  /** Frames; 0 where it is no packet. */
  opus_decode(length: number): number;
  opus_output(): number;
}

export interface LiveSound { perform(act: LiveAct): void }

/** `sound.js`, or on a screen `silent.js`. */
export interface Sound {
  /** To be called within a tap; true once the context runs. */
  wake(): Promise<boolean>;
  /** The page is there again: what a call or a locked screen has stopped goes on. */
  cameBack(): void;
  perform(act: SoundAct): void;
  /** None before the first tap. */
  context(): AudioContext | null;
  /** A look at the audio clock; none before the first tap. */
  look(): AudioLook | null;
}

export interface Microphone {
  /** To be called within a tap: asks the listener. */
  open(): Promise<Ears>;
  perform(act: EarAct): void;
}

/** The words of one language. */
export interface Words {
  /** Its tag, and how it runs. */
  language: string; direction: string;
  /** The sentence of this name with these values in it. */
  say(key: string, values?: { [name: string]: string | number }): string;
  /** There are words for what came later, too, from then on: live sound, a calibration, a performer's page. */
  more(): Promise<void>;
  /** As the language writes it. */
  number(value: number, digits: number): string;
  /** Milliseconds either way, rounded up; null is unknown. */
  bound(ms: number | null): string;
  within(ms: number): string;
  /** Puts words where the document names them (`data-say`, `data-say-label`). */
  dress(document: Document): void;
}

export interface View {
  show(look: Look): void;
  /** The page's own news: it is out of date, or broken. */
  tell(news: "update" | "broken"): void;
  /** What became of the phone's own lamp. */
  tellLamp(lamp: LampNews): void;
  /** Whether to say that the screen has to be kept on by hand. */
  tellDimming(on: boolean): void;
}

/** The phone's own lamp: its holder may lend it, has lent it, or there is none to be had. */
export type LampNews = "free" | "lent" | "missing";

export interface Torch {
  /** Asks the holder for it; to be called within a tap. */
  lend(): Promise<void>;
  set(on: boolean): void;
}

export interface Wake {
  /** The screen stays on until the page is hidden; to be called again when it is there again. */
  keep(): Promise<void>;
}

export interface PromptCue { number: string | number; name: string }

/** `/prompt`: UNIX times in seconds. */
export interface Prompt {
  title: string; paused: boolean;
  lists: { name: string; last: PromptCue | null; standby: PromptCue | null; coming: PromptCue | null; coming_at: number | null }[];
  running: (PromptCue & { began_at: number; ends_at: number | null })[];
}

export interface Prompter {
  hear(prompt: Prompt): void;
  /** The box shows nothing to whoever has no token for it. */
  refuse(): void;
  /** At this network time, milliseconds, what was heard so long ago. */
  draw(netMs: number, ageMs?: number): void;
}

/** A track that pieces can be cut of. */
export interface Cutter {
  rateHz: number; frames: number;
  /** A file with at least these frames. It says which it begins with or, where decoders differ in what they leave out
   *  there, before which it ends. */
  cut(first: number, last: number): { bytes: ArrayBuffer } & ({ first: number } | { last: number });
}

/** Tracks too long to be held decoded. */
export interface Reels {
  /** Gives its length in seconds; null for one that is short, or whose format is not to be cut. */
  load(host: BaseAudioContext, track: string, bytes: ArrayBuffer): Promise<number | null>;
  has(track: string): boolean;
  owns(segment: number): boolean;
  forget(track: string): void;
  /** `over` is called once nothing of it sounds any more. */
  begin(host: AudioContext, act: Begin, out: AudioNode, over: () => void): void;
  rate(host: AudioContext, act: Rate): void;
  end(host: AudioContext, act: End): void;
}

/** Tracks with pictures. */
export interface Films {
  /** Gives its length in seconds once it can be shown. */
  load(track: string, blob: Blob): Promise<number>;
  forget(track: string): void;
  has(track: string): boolean;
  /** Whether a piece is a film's. */
  owns(segment: number): boolean;
  /** `hear` lets the film sound: it gets what it gave the last time, or null. */
  begin(act: Begin, hear: (video: HTMLMediaElement, source: AudioNode | null) => AudioNode | null): void;
  rate(act: Rate): void;
  end(act: End): void;
}

/** `pictures.wasm`: the exports of `src/phone/pictures_door.rs`. Times are of the audio clock, in seconds. */
export interface PicturesDoor {
  film_new(lengthS: number): number;
  film_drop(film: number): void;
  film_begin(film: number, segment: number, atS: number, placeS: number, rate: number, looped: boolean): void;
  film_rate(segment: number, atS: number, rate: number): void;
  film_end(segment: number, atS: number): void;
  film_owns(segment: number): number;
  film_seen(film: number, atS: number, nowS: number, placeS: number): void;
  /** 1 if it is shown, 2 if it is to be set (to `film_place`), 4 while more of it is to come. */
  film_poll(film: number, nowS: number, placeS: number, runs: boolean, seeks: boolean): number;
  film_place(): number;
  film_pace(): number;
  /** 0 dropped, 1 kept, 2 whole; and 4 beside it where all that waits is of another film; 8 for each picture that waits no
   * more, from the first on. Network time in milliseconds. */
  live_piece(nowMs: number, index: number, atMs: number, lastsS: number, left: number, isKey: boolean, octets: number): number;
  live_decodes(nowMs: number): number;
  live_decoded(atMs: number): void;
  live_broken(): void;
  /** 2 for each decoded picture that is past, and 1 where the last of these is drawn; -1 where nothing is on. */
  live_drawn(nowMs: number): number;
  /** 0 shown, 1 held, 2 skipped, 3 late, 4 lost. */
  live_count(which: number): number;
}

/** Live pictures. */
export interface Screening {
  /** What the box said on `media` of pictures. */
  hear(text: string): void;
  counts(): PictureCounts;
}

/** What comes when it is wanted, by name. */
export interface Modules {
  films: typeof import("./films.js");
  live: typeof import("./live.js");
  microphone: typeof import("./microphone.js");
  opus: typeof import("./opus.js");
  peer: typeof import("./peer.js");
  performer: typeof import("./performer.js");
  pictures: typeof import("./pictures.js");
  reels: typeof import("./reels.js");
  screening: typeof import("./screening.js");
  sealed: typeof import("./sealed.js");
  sha256: typeof import("./sha256.js");
  torch: typeof import("./torch.js");
  wake: typeof import("./wake.js");
}

// The peer connection to the box (WebRTC): three data channels, a track to hear, signalled over `/bloom`. When to offer,
// to look for another way and to close is the core's business.
//
// The box reads no candidates of a phone's (it answers whoever knocks with the right word), so an offer goes out as soon
// as it is made. Should both sides offer at once, the box gives in.

import { hex, octets, stamped } from "./time.js";

/** @typedef {import("./types").PeerDoor} PeerDoor */
/** @typedef {import("./types").PeerLink} PeerLink */
/**
 * A connection and its signalling; `offers` while an offer of ours is to be made, `restarts` once one has been.
 * @typedef {{ connection: RTCPeerConnection, door: PeerDoor, channels: { [label: string]: RTCDataChannel },
 *   socket: WebSocket | null, inRoom: boolean, offers: boolean, restarts: boolean, live: boolean, link: PeerLink | "" }} Call
 */

const CHANNEL = "data_channel";
/** @type {[string, RTCDataChannelInit][]} */
const CHANNELS = [
  ["time", { ordered: false, maxRetransmits: 0 }],
  ["media", { ordered: true }],
  ["score", { ordered: true }],
];
/** @type {{ [state: string]: PeerLink }} */
const LINKS = {
  connected: "connected", completed: "connected", disconnected: "disconnected", failed: "disconnected", closed: "closed",
};

/**
 * @param {object} world
 * @param {() => string} world.url of `/bloom` at the box that the page is with
 * @param {typeof WebSocket} world.WebSocket
 * @param {(new (configuration?: RTCConfiguration) => RTCPeerConnection) | undefined} world.RTCPeerConnection
 * @param {() => number} world.nowMs
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @param {{ hear(stream: MediaStream): void, tapped(): void }} world.ear
 * @returns {import("./types").Peer}
 */
export function createPeer({ url, WebSocket, RTCPeerConnection, nowMs, tell, ear }) {
  /** @type {Call | null} */
  let current = null;

  /** @param {PeerDoor} door */
  function open(door) {
    drop();
    /** @type {Call} */
    let call;
    try {
      if (!RTCPeerConnection) throw new Error("this browser has none");
      const connection = new RTCPeerConnection({ iceServers: door.ice_servers || [], bundlePolicy: "max-bundle" });
      call = { connection, door, channels: {}, socket: null, inRoom: false, offers: true, restarts: false, live: false, link: "" };
      current = call;
      CHANNELS.forEach(([label, how]) => listen(call, label, connection.createDataChannel(label, how)));
      connection.addTransceiver("audio", { direction: "recvonly" });
    } catch (_) {
      Promise.resolve().then(over);
      return;
    }
    const { connection } = call;
    connection.ontrack = ({ track, streams }) => ear.hear(streams[0] || new MediaStream([track]));
    connection.oniceconnectionstatechange = () => {
      const link = LINKS[connection.iceConnectionState];
      if (call !== current || !link || link === call.link) return;
      call.link = link;
      if (link === "closed") over();
      else tell({ event: "peer_link", link });
    };
    knock(call);
  }

  /** @param {Call} call @param {string} label @param {RTCDataChannel} channel */
  function listen(call, label, channel) {
    channel.binaryType = "arraybuffer";
    call.channels[label] = channel;
    // A channel that closes unasked is the box's goodbye.
    channel.onclose = () => { if (call === current) over(); };
    if (label === "media") return listenLive(call, channel);
    if (label !== "time") return;
    channel.onopen = () => { if (call === current) tell({ event: "time_opened", channel: CHANNEL }); };
    channel.onmessage = ({ data }) => {
      const at_ms = nowMs();
      if (call === current) tell({ event: "time_heard", channel: CHANNEL, octets: hex(new Uint8Array(data)), at_ms });
    };
  }

  /** @param {Call} call @param {RTCDataChannel} channel */
  function listenLive(call, channel) {
    channel.onopen = () => {
      call.live = true;
      if (call === current) tell({ event: "live_opened" });
    };
    channel.onmessage = ({ data }) => {
      const at_ms = nowMs();
      if (call === current && typeof data === "string") tell({ event: "live_heard", text: data, at_ms });
    };
  }

  /** Goes to the room, and offers what is to be offered once it is in it. @param {Call} call */
  function knock(call) {
    if (call.inRoom) offer(call).catch(() => refused(call));
    if (call.socket) return;
    let socket;
    try {
      socket = new WebSocket(url());
    } catch (_) {
      return;
    }
    call.socket = socket;
    socket.onopen = () => say(call, { type: "JoinRoom", room_id: call.door.room_id });
    socket.onmessage = ({ data }) => {
      if (call === current) heard(call, data).catch(() => refused(call));
    };
    // The connection lives without it; whoever has something to say next opens another.
    socket.onclose = () => {
      [call.socket, call.inRoom] = [null, false];
      if (call === current) refused(call);
    };
  }

  /** @param {Call} call @param {string} text */
  async function heard(call, text) {
    const { connection, door } = call;
    const said = JSON.parse(text);
    if (said.type === "RoomParticipants" && said.participants.includes(door.participant_id)) {
      call.inRoom = true;
      await offer(call);
    } else if (said.type === "Answer" && connection.signalingState === "have-local-offer") {
      await connection.setRemoteDescription({ type: "answer", sdp: said.sdp });
    } else if (said.type === "Offer" && connection.signalingState === "stable") {
      await connection.setRemoteDescription({ type: "offer", sdp: said.sdp });
      await connection.setLocalDescription(await connection.createAnswer());
      say(call, { type: "Answer", to: door.participant_id, sdp: local(connection) });
    } else if (said.type === "Error") {
      refused(call);
    }
  }

  /** @param {Call} call */
  async function offer(call) {
    if (!call.offers) return;
    const { connection, door, restarts } = call;
    [call.offers, call.restarts] = [false, true];
    await connection.setLocalDescription(await connection.createOffer({ iceRestart: restarts }));
    if (call === current) say(call, { type: "Offer", to: door.participant_id, sdp: local(connection) });
  }

  /** @param {Call} call @param {object} words */
  function say({ socket }, words) {
    if (socket && socket.readyState === 1) socket.send(JSON.stringify(words));
  }

  /** One that never was up comes to nothing; one that was lives on, and the core tries again. @param {Call} call */
  function refused(call) {
    if (call === current && !call.link) over();
  }

  function restart() {
    if (!current) return;
    current.offers = true;
    knock(current);
  }

  function over() {
    drop();
    tell({ event: "peer_link", link: "closed" });
  }

  // A connection we have let go of must not speak into the next one's life.
  function drop() {
    const old = current;
    current = null;
    if (!old) return;
    if (old.socket) old.socket.close();
    old.connection.close();
    if (old.live) tell({ event: "live_closed" });
    tell({ event: "time_closed", channel: CHANNEL });
  }

  return {
    perform(act) {
      if (act.act === "open_peer") open(act.door);
      else if (act.act === "restart_peer") restart();
      else drop();
    },
    ask({ octets: question, clock_at }) {
      const channel = current && current.channels.time;
      if (channel && channel.readyState === "open") {
        channel.send(new Uint8Array(stamped(octets(question), clock_at, nowMs())));
      }
    },
    sayLive({ text }) {
      const channel = current && current.channels.media;
      if (channel && channel.readyState === "open") channel.send(text);
    },
    tapped: () => ear.tapped(),
    channels: () => (current ? current.channels : {}),
  };
}

/** @param {RTCPeerConnection} connection */
function local({ localDescription }) {
  return localDescription ? localDescription.sdp : "";
}

/**
 * Lets a track of the box's be heard once the page has a running context.
 * @param {object} world
 * @param {() => AudioContext | null} world.context
 * @param {() => HTMLAudioElement} world.createAudio
 * @returns {{ hear(stream: MediaStream): void, tapped(): void }}
 */
export function createEar({ context, createAudio }) {
  /** @type {MediaStream | null} */
  let stream = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  let source = null;
  /** @type {HTMLAudioElement | null} */
  let pump = null;

  function connect() {
    const host = context();
    if (!stream || !host) return;
    if (source) source.disconnect();
    source = host.createMediaStreamSource(stream);
    source.connect(host.destination);
    // Chromium decodes a track only where an element plays it, too.
    pump = pump || createAudio();
    pump.muted = true;
    pump.srcObject = stream;
    Promise.resolve(pump.play()).catch(() => {});
  }

  return {
    hear(fresh) {
      stream = fresh;
      connect();
    },
    tapped: () => { if (!source) connect(); },
  };
}

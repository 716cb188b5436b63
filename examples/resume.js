// Subscribes to topics and misses nothing while it is offline: `resume.rs` is its server.
//
// The messages come in the JSON envelope, over a WebSocket. The client remembers the newest position
// of each topic, connects again by itself, and says the positions, so that the server sends what
// came meanwhile. Where no WebSocket can be opened, it uses server-sent events instead.
//
//     const client = new ResumingClient({ socket: "/socket", events: "/events", topics: ["news"] });
//     client.addEventListener("message", ({ detail }) => show(detail.topic, detail.data));
//     client.addEventListener("lost", ({ detail }) => reload(detail.topic));
//     client.addEventListener("state", ({ detail }) => show(detail));
//     client.connect();
//
// It dispatches these events:
// - `message`: `{ topic, position, data }`, or `bytes` in base64 instead of `data`.
// - `lost`: `{ topic, oldest, newest }`. The server does not have all that was missed: load the
//   topic's state in another way. Later messages follow.
// - `state`: `{ name, transport }`, where the name is `connecting`, `connected` or `waiting`, and
//   the transport is `websocket` or `events`.

/// The longest wait before the second attempt, in milliseconds. It doubles with each failure.
const FIRST_WAIT = 500;

/// The longest wait before any attempt.
const LONGEST_WAIT = 30_000;

/// So many failures before the first success mean that WebSockets do not pass.
const FAILURES_UNTIL_EVENTS = 2;

export class ResumingClient extends EventTarget {
  #socketUrl;
  #eventsUrl;
  #topics;
  #positions = new Map();
  #transport = "websocket";
  #failures = 0;
  #wasConnected = false;
  #timer;
  #closeTransport = () => {};

  constructor({ socket, events, topics }) {
    super();
    this.#socketUrl = new URL(socket, location.href);
    this.#socketUrl.protocol = this.#socketUrl.protocol.replace("http", "ws");
    this.#eventsUrl = new URL(events, location.href);
    this.#topics = topics;
  }

  /// Connects, or connects at once instead of after the wait.
  connect() {
    this.close();
    this.#dispatchState("connecting");
    if (this.#transport === "websocket") {
      this.#openSocket();
    } else {
      this.#openEvents();
    }
  }

  /// Disconnects. `connect` goes on from where this stopped.
  close() {
    clearTimeout(this.#timer);
    this.#closeTransport();
    this.#closeTransport = () => {};
  }

  #openSocket() {
    const socket = new WebSocket(this.#socketUrl);
    socket.onopen = () => {
      for (const topic of this.#topics) {
        socket.send([topic, this.#positions.get(topic)].join(" ").trim());
      }
      this.#connected();
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => this.#wait();
    this.#closeTransport = () => {
      // What it still receives would come again on the next connection.
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    };
  }

  #openEvents() {
    const url = new URL(this.#eventsUrl);
    this.#topics.forEach((topic) => url.searchParams.append("topic", topic));
    if (this.#positions.size > 0) {
      url.searchParams.set("last-event-id", [...this.#positions.values()].join());
    }
    const source = new EventSource(url);
    source.onopen = () => this.#connected();
    source.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    source.addEventListener("lost", ({ data }) => this.#receive(JSON.parse(data)));
    // By itself it would connect again with one position, not with that of each topic.
    source.onerror = () => this.#wait();
    this.#closeTransport = () => source.close();
  }

  #receive(message) {
    const { topic, position, oldest, newest } = message;
    if (position !== undefined) {
      this.#positions.set(topic, position);
      this.dispatchEvent(new CustomEvent("message", { detail: message }));
    } else if (oldest !== undefined) {
      this.#positions.set(topic, newest);
      this.dispatchEvent(new CustomEvent("lost", { detail: message }));
    } else if (!this.#positions.has(topic)) {
      // Where the subscription begins: so nothing is missed even if no message comes at first.
      this.#positions.set(topic, newest);
    }
  }

  #connected() {
    this.#failures = 0;
    this.#wasConnected = true;
    this.#dispatchState("connected");
  }

  #wait() {
    this.close();
    this.#failures += 1;
    // Full jitter, so that clients do not all come back at once when a server does.
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.#failures - 1));
    if (!this.#wasConnected && this.#failures >= FAILURES_UNTIL_EVENTS) {
      this.#transport = "events";
    }
    this.#timer = setTimeout(() => this.connect(), Math.random() * longest);
    this.#dispatchState("waiting");
  }

  #dispatchState(name) {
    const detail = { name, transport: this.#transport };
    this.dispatchEvent(new CustomEvent("state", { detail }));
  }
}

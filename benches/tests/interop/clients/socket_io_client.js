// The stock client for Node. Usage: node socket_io_client.js SCENARIO URL TRANSPORTS
// TRANSPORTS is a list with commas, or `default`. A scenario that has to wait for the server to be
// killed or started prints a line, and goes on by itself.
"use strict";

const assert = require("node:assert");
const { once } = require("node:events");
const net = require("node:net");
const { Socket: EngineSocket } = require("engine.io-client");
const { Manager, io } = require("socket.io-client");

const [scenario, url, transports] = process.argv.slice(2);

const options = (more = {}) => ({
    forceNew: true,
    reconnectionDelay: 20,
    reconnectionDelayMax: 100,
    ...(transports === "default" ? {} : { transports: transports.split(",") }),
    ...more,
});

/// Connects to a namespace. All that arrives is noted.
function open(namespace = "/", more = {}, address = url) {
    const socket = io(address + (namespace === "/" ? "" : namespace), options(more));
    socket.log = [];
    socket.onAny((...event) => {
        if (typeof event.at(-1) !== "function") socket.log.push(event);
    });
    return socket;
}

async function connect(namespace, more, address) {
    const socket = open(namespace, more, address);
    await once(socket, "connect");
    return socket;
}

/// The next events of this name, without what a server with recovery adds at the end.
async function take(socket, name, count = 1) {
    const found = () => socket.log.filter((event) => event[0] === name);
    while (found().length < count) {
        await new Promise((resolve) => socket.onAny(function listener() {
            socket.offAny(listener);
            // The log has it only then.
            setImmediate(resolve);
        }));
    }
    const events = found();
    assert.strictEqual(events.length, count, JSON.stringify(events));
    socket.log = socket.log.filter((event) => event[0] !== name);
    return events.map((event) => event.slice(1));
}

const recovers = process.env.SOCKET_IO_PROFILE === "client";

/// An event as it arrives: with recovery, an offset is its last argument.
function without_offset(values) {
    if (!recovers) return values;
    assert.strictEqual(typeof values.at(-1), "string");
    return values.slice(0, -1);
}

async function one(socket, name) {
    const [values] = await take(socket, name);
    return without_offset(values);
}

/// Nothing of this name has arrived.
async function nothing(socket, name) {
    await socket.emitWithAck("message-with-ack");
    assert.deepStrictEqual(socket.log.filter((event) => event[0] === name), []);
}

const VALUES = [1, -0.5, "", "café 😀\u001e", null, true, [], {}, { a: [{ b: "\\\"" }] }];

async function exchanges() {
    const socket = await connect("/", { auth: { token: "123" } });
    assert.deepStrictEqual(await one(socket, "auth"), [{ token: "123" }]);
    socket.emit("message", ...VALUES);
    assert.deepStrictEqual(await one(socket, "message-back"), VALUES);
    assert.deepStrictEqual(await socket.emitWithAck("message-with-ack", VALUES), VALUES);
    const bytes = Buffer.from([0, 255, 1, 2]);
    const large = Buffer.alloc(300_000, 7);
    socket.emit("message", bytes, { a: [large] }, "text");
    const back = await one(socket, "message-back");
    assert.deepStrictEqual(back, [bytes, { a: [large] }, "text"]);
    const answer = await socket.emitWithAck("message-with-ack", { a: bytes });
    assert.deepStrictEqual(answer, { a: bytes });
    const long = "x".repeat(500_000);
    assert.strictEqual(await socket.emitWithAck("message-with-ack", long), long);
    for (let number = 0; number < 100; number += 1) socket.emit("collect", number);
    assert.deepStrictEqual(await socket.emitWithAck("collected"), [...Array(100).keys()]);
    // More than one request or message may have.
    const large_values = Array(40).fill("x".repeat(200_000));
    large_values.forEach((value) => socket.emit("collect", value));
    assert.deepStrictEqual(await socket.emitWithAck("collected"), large_values);
    const halves = { "\udc00": "\ud800" };
    assert.deepStrictEqual(await socket.emitWithAck("message-with-ack", halves), halves);
    const info = await socket.emitWithAck("request-info");
    assert.strictEqual(info.sid, socket.id);
    assert.strictEqual(info.auth.token, "123");
    assert.notStrictEqual(socket.id, socket.io.engine.id);
    socket.disconnect();
}

async function acknowledges() {
    const socket = await connect();
    socket.on("question", (...values) => values.pop()(...values.reverse()));
    const ask = (...values) => new Promise((resolve) => {
        socket.emit("ask", ...values, (...answer) => resolve(answer));
    });
    assert.deepStrictEqual(await ask(5_000, 1, "two"), ["answer", "two", 1]);
    assert.deepStrictEqual(await ask(5_000), ["answer"]);
    const bytes = Buffer.from([1, 2, 3]);
    assert.deepStrictEqual(await ask(5_000, { a: bytes }, bytes), ["answer", bytes, { a: bytes }]);
    socket.off("question");
    assert.deepStrictEqual(await ask(50, 1), ["timeout"]);
    await assert.rejects(socket.timeout(100).emitWithAck("unknown"), /timed out/);
    const many = [...Array(200).keys()].map((number) => {
        return socket.emitWithAck("message-with-ack", number);
    });
    assert.deepStrictEqual(await Promise.all(many), [...Array(200).keys()]);
    socket.disconnect();
}

async function joins_namespaces() {
    const manager = new Manager(url, options());
    const names = ["/", "/custom", "/quiet", "/refuse"];
    const auth = { token: "let-me-in" };
    const sockets = names.map((name) => manager.socket(name, { auth }));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    assert.strictEqual(new Set(sockets.map((socket) => socket.id)).size, names.length);
    for (const socket of sockets) {
        assert.strictEqual(await socket.emitWithAck("message-with-ack", socket.id), socket.id);
    }
    sockets[1].disconnect();
    await sockets[0].emitWithAck("message-with-ack");
    sockets[1].connect();
    await once(sockets[1], "connect");
    await sockets[1].emitWithAck("message-with-ack");
    // Leaves and joins before anything is sent.
    if (process.env.SOCKET_IO_REFERENCE === undefined) {
        sockets[1].disconnect().connect();
        await once(sockets[1], "connect");
        await sockets[1].emitWithAck("message-with-ack");
    }
    sockets.forEach((socket) => socket.disconnect());

    const refused = open("/refuse");
    const [error] = await once(refused, "connect_error");
    assert.strictEqual(error.message, "Not authorized");
    assert.deepStrictEqual(error.data, { code: "E401", details: ["no token", 1] });
    refused.auth = auth;
    refused.connect();
    await once(refused, "connect");
    refused.disconnect();
    const unknown = open("/unknown");
    const [reason] = await once(unknown, "connect_error");
    assert.strictEqual(typeof reason.message, "string");
    unknown.disconnect();
}

async function disconnects() {
    for (const [close, again] of [[false, true], [true, false]]) {
        const manager = new Manager(url, options());
        const sockets = ["/", "/quiet"].map((name) => manager.socket(name));
        await Promise.all(sockets.map((socket) => once(socket, "connect")));
        const ended = sockets.map((socket) => once(socket, "disconnect"));
        sockets[0].emit("disconnect-me", close);
        assert.strictEqual((await ended[0])[0], "io server disconnect");
        if (again) {
            await sockets[1].emitWithAck("message-with-ack");
        } else {
            assert.strictEqual((await ended[1])[0], "io server disconnect");
        }
        sockets.forEach((socket) => socket.disconnect());
    }
    const observer = await connect();
    const socket = await connect();
    const sid = socket.id;
    const ended = once(socket, "disconnect");
    socket.disconnect();
    assert.strictEqual((await ended)[0], "io client disconnect");
    const noticed = async () => {
        const ends = await observer.emitWithAck("disconnects");
        return ends.filter((end) => end.sid === sid).length;
    };
    while (await noticed() === 0);
    assert.strictEqual(await noticed(), 1);
    observer.disconnect();
}

async function shares_rooms() {
    const sockets = await Promise.all([...Array(4)].map(() => connect("/custom")));
    const [a, b, c, sender] = sockets;
    await a.emitWithAck("join", "x");
    await b.emitWithAck("join", "x");
    await b.emitWithAck("join", "y");
    await c.emitWithAck("join", "z");
    assert.deepStrictEqual(await b.emitWithAck("rooms"), ["x", "y"]);
    sender.emit("to-room", "x", 1);
    sender.emit("to-rooms", ["x", "y"], Buffer.from("2"));
    sender.emit("broadcast", 3);
    sender.emit("all", 4);
    for (const member of [a, b]) {
        assert.deepStrictEqual(await one(member, "room-event"), ["x", 1]);
        assert.deepStrictEqual(await one(member, "rooms-event"), [Buffer.from("2")]);
    }
    for (const member of [a, b, c]) {
        assert.deepStrictEqual(await one(member, "broadcast-event"), [3]);
    }
    for (const member of sockets) {
        assert.deepStrictEqual(await one(member, "all-event"), [4]);
    }
    for (const name of ["room-event", "rooms-event"]) await nothing(c, name);
    await nothing(sender, "broadcast-event");
    await b.emitWithAck("leave", "x");
    sender.emit("to-room", "x", 5);
    assert.deepStrictEqual(await one(a, "room-event"), ["x", 5]);
    await nothing(b, "room-event");
    sockets.forEach((socket) => socket.disconnect());
}

async function receives_volatile() {
    const socket = await connect("/quiet");
    assert.strictEqual(await socket.emitWithAck("volatile-later", 100, 7), "ok");
    const [[value]] = await take(socket, "volatile-event");
    assert.strictEqual(value, 7);
    // The client drops its own, too.
    socket.volatile.emit("collect", 1);
    assert.deepStrictEqual(await socket.emitWithAck("collected"), [1]);
    socket.disconnect();
}

async function upgrades() {
    const socket = open("/quiet", { transports: ["polling", "websocket"] });
    await once(socket.io, "open");
    const { engine } = socket.io;
    assert.strictEqual(engine.transport.name, "polling");
    let is_upgraded = false;
    engine.once("upgrade", () => is_upgraded = true);
    const sent = [];
    const flow = async () => {
        const number = sent.length;
        sent.push(number);
        socket.emit("message", number);
        socket.emit("collect", number);
        if (number % 10 === 9) await socket.emitWithAck("message-with-ack");
        else await new Promise(setImmediate);
    };
    while (!is_upgraded) await flow();
    for (let after = 0; after < 100; after += 1) await flow();
    assert.strictEqual(engine.transport.name, "websocket");
    assert.strictEqual((await socket.emitWithAck("request-info")).transport, "websocket");
    assert.deepStrictEqual(await socket.emitWithAck("collected"), sent);
    const back = socket.log.filter((event) => event[0] === "message-back");
    assert.deepStrictEqual(back.map((event) => event[1]), sent);
    socket.disconnect();
}

async function floods() {
    const socket = await connect("/quiet");
    for (let round = 0; round < 3; round += 1) {
        assert.strictEqual(await socket.emitWithAck("flood", 3_000), 3_000);
        const numbers = (await take(socket, "flood-event", 3_000)).map((values) => values[0]);
        assert.deepStrictEqual(numbers, [...Array(3_000).keys()]);
    }
    socket.disconnect();
}

async function crowds() {
    const sockets = await Promise.all([...Array(200)].map(() => connect("/quiet")));
    assert.strictEqual(new Set(sockets.map((socket) => socket.id)).size, 200);
    const answers = sockets.map((socket, at) => socket.emitWithAck("message-with-ack", at));
    assert.deepStrictEqual(await Promise.all(answers), [...Array(200).keys()]);
    for (let number = 0; number < 10; number += 1) sockets[number].emit("all", number);
    for (const socket of sockets) {
        const events = await take(socket, "all-event", 10);
        const numbers = events.map((values) => values[0]).sort();
        assert.deepStrictEqual(numbers, [...Array(10).keys()]);
    }
    sockets.forEach((socket) => socket.disconnect());
}

/// Waits until an upgrade, if there is one, is complete at both ends.
async function complete_upgrade(socket) {
    while (is_upgrading(socket)) await new Promise(setImmediate);
    await socket.emitWithAck("message-with-ack");
}

function is_upgrading(socket) {
    const { engine } = socket.io;
    return engine.upgrading || (transports === "default" && engine.transport.name === "polling");
}

/// Goes on after the server was killed and started again.
async function reconnects() {
    const socket = await connect();
    const first = socket.id;
    let buffered = 0;
    for (let round = 0; round < 3; round += 1) {
        // A client whose connection ends within an upgrade notices it only by missing pings.
        await complete_upgrade(socket);
        const ended = once(socket, "disconnect");
        console.log("kill the server");
        const [reason] = await ended;
        assert.match(reason, /^transport (close|error)$/);
        // Sent once it is connected again.
        const answer = socket.emitWithAck("message-with-ack", round);
        assert.strictEqual(await answer, round);
        buffered += 1;
        assert.strictEqual(socket.recovered, false);
        assert.notStrictEqual(socket.id, first);
    }
    assert.strictEqual(buffered, 3);
    socket.disconnect();
}

/// Passes connections on until it cuts them.
async function proxy() {
    const target = new URL(url);
    const ends = new Set();
    // Connections with a GET that is not answered.
    const waiting = new Set();
    let is_open = true;
    const server = net.createServer((client) => {
        if (!is_open) return client.destroy();
        const upstream = net.connect(Number(target.port), target.hostname);
        client.pipe(upstream).pipe(client);
        client.on("data", (data) => {
            if (data.includes("GET /socket.io/")) waiting.add(client);
        });
        upstream.on("data", () => waiting.delete(client));
        for (const end of [client, upstream]) {
            ends.add(end);
            end.on("error", () => {});
            end.on("close", () => {
                ends.delete(end);
                waiting.delete(end);
                client.destroy();
                upstream.destroy();
            });
        }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
        url: `http://127.0.0.1:${server.address().port}`,
        is_waiting: () => waiting.size > 0,
        cut() {
            is_open = false;
            ends.forEach((end) => end.destroy());
        },
        open() {
            is_open = true;
        },
        close() {
            this.cut();
            server.close();
        },
    };
}

/// Cuts the connection of a socket, does something, and lets it connect again.
async function lose(socket, observer, between, meanwhile) {
    await complete_upgrade(socket);
    const { engine } = socket.io;
    // Without a GET that waits, a server notices the loss only by its pings.
    while (engine.transport.name === "polling" && !between.is_waiting()) {
        await new Promise(setImmediate);
    }
    const sid = socket.id;
    const ended = once(socket, "disconnect");
    between.cut();
    await ended;
    const ends = async () => await observer.emitWithAck("disconnects");
    while (!(await ends()).some((end) => end.sid === sid));
    await meanwhile();
    const connected = once(socket, "connect");
    between.open();
    await connected;
}

async function recovers_missed_events() {
    const between = await proxy();
    const observer = await connect("/custom");
    const socket = await connect("/custom", {}, between.url);
    await socket.emitWithAck("join", "x");
    await one(socket, "auth");
    const [sid, expected] = [socket.id, []];
    for (let round = 0; round < 4; round += 1) {
        await lose(socket, observer, between, async () => {
            for (let number = 0; number < 50; number += 1) {
                observer.emit("broadcast", round, number);
                observer.emit("to-room", "x", round, number);
                observer.emit("to-room", "z", round, number);
            }
            await observer.emitWithAck("message-with-ack");
        });
        assert.strictEqual(socket.recovered, true);
        assert.strictEqual(socket.id, sid);
        observer.emit("broadcast", round, 50);
        for (let number = 0; number <= 50; number += 1) expected.push([round, number]);
        const count = 51;
        const broadcasts = (await take(socket, "broadcast-event", count)).map(without_offset);
        assert.deepStrictEqual(broadcasts, expected.slice(-count));
        const room = (await take(socket, "room-event", count - 1)).map(without_offset);
        assert.deepStrictEqual(room, expected.slice(-count, -1).map((values) => ["x", ...values]));
        await nothing(socket, "auth");
        assert.strictEqual((await socket.emitWithAck("request-info")).recovered, true);
    }
    [socket, observer].forEach((end) => end.disconnect());
    between.close();
}

/// Connections are cut at any moment while events flow. A client that has recovered has missed
/// nothing, and nothing comes twice.
async function recovers_while_events_flow() {
    const between = await proxy();
    const sender = await connect("/quiet");
    const socket = await connect("/quiet", {}, between.url);
    let [last, cuts, recoveries, is_flowing] = [-1, 0, 0, true];
    socket.on("connect", () => {
        if (socket.recovered) recoveries += 1;
        else last = null;
    });
    socket.on("broadcast-event", (number) => {
        if (last !== null) assert.strictEqual(number, last + 1, `after ${cuts} cuts`);
        last = number;
    });
    const flow = (async () => {
        for (let number = 0; is_flowing; number += 1) {
            sender.emit("broadcast", number, "x".repeat(number % 500));
            if (number % 20 === 0) await sender.emitWithAck("message-with-ack");
        }
    })();
    while (cuts < 30) {
        const before = last;
        while (last === before || last === null || is_upgrading(socket)) {
            await new Promise(setImmediate);
        }
        const ended = once(socket, "disconnect");
        between.cut();
        cuts += 1;
        await ended;
        between.open();
        await once(socket, "connect");
    }
    is_flowing = false;
    await flow;
    await socket.emitWithAck("message-with-ack");
    if (transports === "websocket") assert.ok(recoveries > 0, "nothing was recovered");
    if (process.env.SOCKET_IO_VERBOSE) console.error(`${recoveries} of ${cuts}`);
    [socket, sender].forEach((end) => end.disconnect());
    between.close();
}

async function recovers_binary() {
    const between = await proxy();
    const observer = await connect();
    const socket = await connect("/", {}, between.url);
    await one(socket, "auth");
    await lose(socket, observer, between, async () => {
        observer.emit("broadcast", { a: Buffer.from([0, 255]) });
        await observer.emitWithAck("message-with-ack");
    });
    assert.strictEqual(socket.recovered, true);
    assert.deepStrictEqual(await one(socket, "broadcast-event"), [{ a: Buffer.from([0, 255]) }]);
    [socket, observer].forEach((end) => end.disconnect());
    between.close();
}

async function tells_the_truth_without_an_event() {
    const between = await proxy();
    const observer = await connect("/quiet");
    const socket = await connect("/quiet", {}, between.url);
    const sid = socket.id;
    await lose(socket, observer, between, async () => {
        observer.emit("broadcast", 1);
        await observer.emitWithAck("message-with-ack");
    });
    const info = await socket.emitWithAck("request-info");
    assert.strictEqual(info.recovered, socket.recovered);
    assert.strictEqual(socket.id === sid, socket.recovered);
    if (socket.recovered) assert.deepStrictEqual(await one(socket, "broadcast-event"), [1]);
    else await nothing(socket, "broadcast-event");
    [socket, observer].forEach((end) => end.disconnect());
    between.close();
}

async function begins_anew_with_an_unknown_offset() {
    const between = await proxy();
    const observer = await connect();
    const socket = await connect("/", {}, between.url);
    await one(socket, "auth");
    const sid = socket.id;
    await lose(socket, observer, between, async () => {
        observer.emit("broadcast", 1);
        await observer.emitWithAck("message-with-ack");
        socket._lastOffset = "AAAAAAA";
    });
    assert.strictEqual(socket.recovered, false);
    assert.notStrictEqual(socket.id, sid);
    await one(socket, "auth");
    await nothing(socket, "broadcast-event");
    [socket, observer].forEach((end) => end.disconnect());
    between.close();
}

/// The client takes any text at the end of an event for an offset.
async function recovers_after_a_volatile_event() {
    const between = await proxy();
    const observer = await connect();
    const socket = await connect("/", {}, between.url);
    await one(socket, "auth");
    await socket.emitWithAck("volatile-later", 50, "some text");
    await take(socket, "volatile-event");
    await lose(socket, observer, between, async () => {
        observer.emit("broadcast", 1);
        await observer.emitWithAck("message-with-ack");
    });
    assert.strictEqual(socket.recovered, true);
    assert.deepStrictEqual(await one(socket, "broadcast-event"), [1]);
    [socket, observer].forEach((end) => end.disconnect());
    between.close();
}

/// The engine is closed, as when a browser notices that it is offline.
async function recovers_after_the_engine_was_closed() {
    const observer = await connect();
    const socket = await connect();
    await one(socket, "auth");
    const sid = socket.id;
    const ends = async () => await observer.emitWithAck("disconnects");
    const ended = once(socket, "disconnect");
    socket.io.reconnection(false);
    socket.io.engine.close();
    await ended;
    while (!(await ends()).some((end) => end.sid === sid));
    observer.emit("broadcast", 1);
    await observer.emitWithAck("message-with-ack");
    socket.io.reconnection(true);
    socket.connect();
    await once(socket, "connect");
    assert.strictEqual(socket.recovered, true);
    assert.deepStrictEqual(await one(socket, "broadcast-event"), [1]);
    [socket, observer].forEach((end) => end.disconnect());
}

/// The client of the layer below.
async function opens_engine_sessions() {
    const engine = new EngineSocket(url, { path: "/socket.io/", ...options() });
    const messages = [];
    engine.on("message", (data) => messages.push(data));
    await once(engine, "open");
    engine.send("40/quiet,");
    while (messages.length < 1) await once(engine, "message");
    assert.match(messages[0], /^40\/quiet,\{/);
    engine.send('451-/quiet,["message",{"_placeholder":true,"num":0}]');
    engine.send(Buffer.from([1, 2]));
    while (messages.length < 3) await once(engine, "message");
    assert.match(messages[1], /^451-\/quiet,\["message-back",/);
    assert.deepStrictEqual(Buffer.from(messages[2]), Buffer.from([1, 2]));
    engine.close();
}

const SCENARIOS = {
    acknowledges,
    begins_anew_with_an_unknown_offset,
    crowds,
    disconnects,
    exchanges,
    floods,
    joins_namespaces,
    opens_engine_sessions,
    receives_volatile,
    reconnects,
    recovers_after_a_volatile_event,
    recovers_after_the_engine_was_closed,
    recovers_binary,
    recovers_missed_events,
    recovers_while_events_flow,
    shares_rooms,
    tells_the_truth_without_an_event,
    upgrades,
};

SCENARIOS[scenario]().then(
    () => process.exit(0),
    (error) => {
        console.error(error);
        process.exit(1);
    },
);

// What clients with the standard WebSocket interface exchange with the server. That interface has
// neither fragments nor pings.
"use strict";

const TEXTS = ["", "hello", "größer als 1 €, 漢字, 🦀", "漢".repeat(40_000)];
const BINARIES = [0, 1, 125, 126, 65_535, 65_536, 1_000_000].map((size) =>
    Uint8Array.from({ length: size }, (_, number) => (number * 31) % 251),
);
const CODE = 3001;
const REASON = "enough";

// One byte more than the server takes by default, and what it says to that.
const TOO_LONG = new Uint8Array(1024 * 1024 + 1);
const TOO_BIG = 1009;

function check(holds, ...what) {
    if (!holds) throw new Error(what.join(" "));
}

function isSame(left, right) {
    return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

// Settles at the socket's next event: with it if it is of that type.
function next(socket, type) {
    return new Promise((resolve, reject) => {
        for (const name of ["open", "message", "close"]) {
            socket["on" + name] = (event) =>
                name === type ? resolve(event) : reject(new Error(`${name}, not ${type}`));
        }
    });
}

async function open(url) {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    await next(socket, "open");
    return socket;
}

async function exchange(url, extension) {
    const socket = await open(url);
    const [name] = socket.extensions.split(";");
    check(name === extension, "extensions:", socket.extensions);
    for (const text of TEXTS) {
        socket.send(text);
        const { data } = await next(socket, "message");
        check(data === text, "text of", text.length);
    }
    for (const binary of BINARIES) {
        socket.send(binary);
        const { data } = await next(socket, "message");
        check(data instanceof ArrayBuffer, "binary came back as", typeof data);
        check(isSame(new Uint8Array(data), binary), "binary of", binary.length);
    }
    socket.close(CODE, REASON);
    const end = await next(socket, "close");
    check(end.code === CODE && end.wasClean, "closed with", end.code);

    const greedy = await open(url);
    greedy.send(TOO_LONG);
    const refusal = await next(greedy, "close");
    check(refusal.code === TOO_BIG && refusal.reason !== "", "closed with", refusal.code);
}

if (typeof module !== "undefined") {
    module.exports = { exchange, check, isSame, TEXTS, BINARIES, CODE, REASON, TOO_LONG, TOO_BIG };
}

// Node's ws, which has fragments and pings too. With a third argument it connects from this
// address, and asks the server for it.
"use strict";

const { once } = require("node:events");
const { WebSocket } = require("ws");
const { check, isSame, TEXTS, BINARIES, CODE, REASON, TOO_LONG, TOO_BIG } =
    require("./exchange.js");

const FRAGMENTED = [["grö", "", "ßer ", "🦀"], ["\0", "", "*".repeat(70_000), "!"]];
const PING = "alive?";

const [url, extension, localAddress] = process.argv.slice(2);

async function open() {
    const socket = new WebSocket(url, { localAddress });
    await once(socket, "open");
    return socket;
}

async function exchange() {
    const socket = await open();
    if (localAddress !== undefined) {
        socket.send("who?");
        const [address] = await once(socket, "message");
        check(address.toString() === localAddress, "not my address:", address);
    }
    check(socket.extensions === extension, "extensions:", socket.extensions);
    for (const message of [...TEXTS, ...BINARIES]) {
        socket.send(message);
        const [data, isBinary] = await once(socket, "message");
        check(isBinary === (typeof message !== "string"), "the type of", message.length);
        check(isSame(data, Buffer.from(message)), "message of", message.length);
    }
    for (const binary of [false, true]) {
        for (const fragments of FRAGMENTED) {
            const last = fragments.length - 1;
            fragments.forEach((part, at) => socket.send(part, { binary, fin: at === last }));
            const [data, isBinary] = await once(socket, "message");
            check(isBinary === binary && data.toString() === fragments.join(""), "fragments");
        }
    }
    socket.ping(PING);
    const [pong] = await once(socket, "pong");
    check(pong.toString() === PING, "pong:", pong);
    socket.close(CODE, REASON);
    const [code] = await once(socket, "close");
    check(code === CODE, "closed with", code);

    const greedy = await open();
    greedy.send(TOO_LONG);
    const [refusal, reason] = await once(greedy, "close");
    check(refusal === TOO_BIG && reason.length > 0, "closed with", refusal);
}

exchange().catch((error) => {
    console.error(error);
    process.exit(1);
});

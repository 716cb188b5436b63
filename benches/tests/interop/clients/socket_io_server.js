// Node's Socket.IO server with the events of `examples/socketio.rs`: the reference for it.
// Usage: node socket_io_server.js PORT PROFILE
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const CLIENT = { pingInterval: 25_000, pingTimeout: 20_000, connectTimeout: 45_000 };
const RECOVERY = { maxDisconnectionDuration: 120_000 };
const PROFILES = {
    protocol: {
        pingInterval: 300,
        pingTimeout: 200,
        connectTimeout: 1_000,
        maxHttpBufferSize: 1_000_000,
    },
    client: { ...CLIENT, maxHttpBufferSize: 3_000_000, connectionStateRecovery: RECOVERY },
    load: { ...CLIENT, maxHttpBufferSize: 3_000_000 },
};
const ENDED_SOCKETS_MAX = 100;

const [port, profile] = process.argv.slice(2);
const web = http.createServer((_, response) => response.writeHead(404).end());
const io = new Server(web, {
    ...PROFILES[profile],
    serveClient: false,
    perMessageDeflate: false,
    httpCompression: false,
    cors: { origin: "*" },
});
const endedSockets = [];

// Each takes the socket, a function that acknowledges, and the arguments of the event.
const EVENTS = {
    "message": (socket, _, ...values) => socket.emit("message-back", ...values),
    "message-with-ack": (_, ack, ...values) => ack(...values),
    "join": (socket, ack, room) => {
        socket.join(room);
        ack(room);
    },
    "leave": (socket, ack, room) => {
        socket.leave(room);
        ack(room);
    },
    "rooms": (socket, ack) => ack([...socket.rooms].filter((room) => room !== socket.id).sort()),
    "to-room": (socket, _, room, ...values) => {
        socket.to(room).emit("room-event", room, ...values);
    },
    "to-rooms": (socket, _, rooms, ...values) => {
        socket.to(rooms).emit("rooms-event", ...values);
    },
    "broadcast": (socket, _, ...values) => socket.broadcast.emit("broadcast-event", ...values),
    "all": (socket, _, ...values) => socket.nsp.emit("all-event", ...values),
    "flood": (socket, ack, count) => {
        for (let number = 0; number < count; number += 1) socket.emit("flood-event", number);
        ack(count);
    },
    "collect": (socket, _, value) => socket.data.values.push(value),
    "collected": (socket, ack) => ack(socket.data.values.splice(0)),
    "ask": (socket, ack, milliseconds, ...values) => {
        socket.timeout(milliseconds).emit("question", ...values, (error, ...answer) => {
            if (error) ack("timeout");
            else ack("answer", ...answer);
        });
    },
    "volatile-later": (socket, ack, milliseconds, value) => {
        setTimeout(() => socket.volatile.emit("volatile-event", value), milliseconds);
        ack("ok");
    },
    "emit-later": (socket, ack, milliseconds, value) => {
        setTimeout(() => socket.emit("later-event", value), milliseconds);
        ack("ok");
    },
    "disconnect-me": (socket, _, close) => socket.disconnect(close),
    "disconnects": (_, ack) => ack(endedSockets),
    "request-info": (socket, ack) => {
        ack({
            sid: socket.id,
            headers: socket.handshake.headers,
            query: socket.handshake.query,
            address: socket.handshake.address,
            auth: socket.handshake.auth,
            recovered: socket.recovered,
            transport: socket.conn.transport.name,
        });
    },
};

function serve(socket) {
    socket.data.values ??= [];
    socket.onAny((event, ...values) => {
        const handle = Object.hasOwn(EVENTS, event) ? EVENTS[event] : () => {};
        const isAckWanted = typeof values.at(-1) === "function";
        handle(socket, isAckWanted ? values.pop() : () => {}, ...values);
    });
    socket.on("disconnect", (reason) => {
        endedSockets.push({ sid: socket.id, reason });
        if (endedSockets.length > ENDED_SOCKETS_MAX) endedSockets.shift();
    });
}

for (const name of ["/", "/custom"]) {
    io.of(name).on("connection", (socket) => {
        serve(socket);
        if (!socket.recovered) socket.emit("auth", socket.handshake.auth);
    });
}
io.of("/quiet").on("connection", serve);
io.of("/refuse").on("connection", serve).use((socket, next) => {
    if (socket.handshake.auth.token === "let-me-in") return next();
    const error = new Error("Not authorized");
    error.data = { code: "E401", details: ["no token", 1] };
    next(error);
});

web.listen(Number(port), "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${web.address().port}`);
});
process.once("SIGTERM", () => process.exit(0));

// Socket.IO with connection state recovery: `node socket_io.js PORT`. Its clients join rooms; it
// emits numbered messages to them, in the way of `eventwire-bench resume`.
const { Server } = require("socket.io");

const port = Number(process.argv[2]);
const io = new Server(port, {
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
  transports: ["websocket"],
  perMessageDeflate: false,
});

// The number of the newest message of each room.
const newest = new Map();
let interval;

// Emits `rate` messages a second of about `size` bytes, to the rooms in turns.
function start(rooms, rate, size) {
  const begun = performance.now();
  const padding = "x".repeat(size);
  let number = 0;
  interval = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) / 1000) * rate);
    for (; number < due; number++) {
      const room = number % rooms;
      const next = (newest.get(room) ?? 0) + 1;
      newest.set(room, next);
      io.to(`room ${room}`).emit("message", next, padding);
    }
  }, 1);
}

io.on("connection", (socket) => {
  const tell = (room) => socket.emit("at", newest.get(room) ?? 0);
  socket.on("join", (room) => {
    socket.join(`room ${room}`);
    tell(room);
  });
  socket.on("where", tell);
  socket.on("start", start);
  socket.on("stop", () => clearInterval(interval));
});

console.log(`listening on ws://127.0.0.1:${port}`);

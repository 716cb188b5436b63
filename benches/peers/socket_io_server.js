// Socket.IO for `eventwire-bench socketio`: `node --expose-gc socket_io_server.js PORT load`.
const { Server } = require("socket.io");

const [port, profile] = process.argv.slice(-2);
if (profile !== "load") {
  throw new Error(`there is no profile ${profile}`);
}

const io = new Server(Number(port), {
  pingInterval: 25_000,
  pingTimeout: 20_000,
  connectTimeout: 45_000,
  maxHttpBufferSize: 3_000_000,
  cors: { origin: "*" },
  perMessageDeflate: false,
  httpCompression: false,
});

io.on("connection", (socket) => {
  socket.on("message-with-ack", (...args) => args.pop()(...args));
  socket.on("all", (...args) => io.emit("all-event", ...args));
  // Memory is compared without garbage.
  socket.on("collect-garbage", (acknowledge) => {
    globalThis.gc?.();
    acknowledge();
  });
  socket.emit("auth", socket.handshake.auth);
});

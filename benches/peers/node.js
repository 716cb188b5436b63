// Node's `ws`: `node node.js echo|broadcast PORT`. It uses `bufferutil` if that is installed, as
// its authors advise.
const { WebSocketServer } = require("ws");

const [service, port] = process.argv.slice(2);
const options = { host: "127.0.0.1", port: Number(port), perMessageDeflate: false };
const server = new WebSocketServer(options);
const receivers = new Set();

server.on("connection", (ws) => {
  receivers.add(ws);
  ws.on("close", () => receivers.delete(ws));
  ws.on("error", () => ws.terminate());
  ws.on("message", (message, binary) => {
    if (service === "echo") {
      ws.send(message, { binary });
    } else if (message[7] === 0x45) {
      // Whoever asks for an echo is broadcast to no more.
      receivers.delete(ws);
      ws.send(message, { binary });
    } else {
      for (const receiver of receivers) receiver.send(message, { binary });
    }
  });
});
server.on("listening", () => {
  console.log(`listening on ws://127.0.0.1:${server.address().port}`);
});

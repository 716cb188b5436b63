// Bun's server, which embeds uWebSockets: `bun bun.js echo|broadcast PORT`.
const [service, port] = Bun.argv.slice(2);
const topic = "all";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response(null, { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: 64 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    open(ws) {
      if (service === "broadcast") ws.subscribe(topic);
    },
    message(ws, message) {
      if (service === "echo") {
        ws.send(message);
      } else if (message[7] === 0x45) {
        // Whoever asks for an echo is broadcast to no more.
        ws.unsubscribe(topic);
        ws.send(message);
      } else {
        server.publish(topic, message);
      }
    },
  },
});
console.log(`listening on ws://127.0.0.1:${server.port}`);

// Node's own WebSocket.
"use strict";

const { exchange } = require("./exchange.js");

const [url, extension] = process.argv.slice(2);
exchange(url, extension).catch((error) => {
    console.error(error);
    process.exit(1);
});

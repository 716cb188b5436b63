// Reads a long body with Node's fetch, once the server has to wait for it.
"use strict";

const assert = require("node:assert");

const [address, piece, pieces] = process.argv.slice(2);

async function main() {
    const response = await fetch(`http://${address}/whole`);
    let queued;
    do {
        queued = Number(await (await fetch(`http://${address}/queued`)).text());
    } while (queued === 0);
    let at = 0;
    for await (const chunk of response.body) {
        for (const byte of chunk) {
            const left = pieces - 1 - Math.floor(at / piece);
            if (byte !== 97 + (left % 26)) assert.fail(`${byte} at ${at}`);
            at += 1;
        }
    }
    assert.strictEqual(at, piece * pieces);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

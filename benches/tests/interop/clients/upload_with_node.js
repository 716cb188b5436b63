// Uploads with Node's fetch, from a stream, up to the server's limit and beyond it.
"use strict";

const assert = require("node:assert");
const { createHash } = require("node:crypto");

const [address, max] = process.argv.slice(2);

async function upload(length) {
    const hash = createHash("sha1");
    let left = length;
    const body = new ReadableStream({
        pull(controller) {
            const chunk = Buffer.alloc(Math.min(left, 50_000), left % 251);
            left -= chunk.length;
            hash.update(chunk);
            controller.enqueue(chunk);
            if (left === 0) controller.close();
        },
    });
    const url = `http://${address}/files/node`;
    const response = await fetch(url, { method: "POST", body, duplex: "half" });
    return { response, hash };
}

async function main() {
    for (const length of [1, 70_000, Number(max)]) {
        const { response, hash } = await upload(length);
        assert.strictEqual(response.status, 200);
        const expected = { name: "node", bytes: length, sha1: hash.digest("hex") };
        assert.deepStrictEqual(await response.json(), expected);
    }
    const { response } = await upload(Number(max) + 1);
    assert.strictEqual(response.status, 413);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

// The oracle of zlib.py, with Node's zlib.
"use strict";
const zlib = require("zlib");
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

function inflate(bits, chunk, messages) {
  const all = Buffer.concat(messages.flatMap((m) => [Buffer.from(m, "base64"), TAIL]));
  return zlib.inflateRawSync(all, {
    windowBits: Number(bits), chunkSize: Math.max(64, Number(chunk)), finishFlush: zlib.constants.Z_SYNC_FLUSH,
  });
}

function deflate(level, bits, mem, strategy, parts) {
  // Node has no synchronous flush between parts: each part is a stream of its own.
  return Buffer.concat(parts.map((p) => zlib.deflateRawSync(Buffer.from(p, "base64"), {
    level: Number(level), windowBits: Number(bits), memLevel: Number(mem), strategy: Number(strategy),
    finishFlush: zlib.constants.Z_SYNC_FLUSH,
  })));
}

for (const line of require("fs").readFileSync(0, "latin1").split("\n").slice(0, -1)) {
  const words = line.split(" ");
  try {
    const out = words[0] === "inflate"
      ? inflate(words[1], words[2], words.slice(3))
      : deflate(words[1], words[2], words[3], words[4], words.slice(5));
    console.log("=" + out.toString("base64"));
  } catch (e) {
    console.log("!" + e.message);
  }
}

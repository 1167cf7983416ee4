// A token that can't be a subprotocol is told of, and the next attempt asks for another.
const assert = require("node:assert");

const attempts = [];
globalThis.WebSocket = class {
  constructor(url, protocols) {
    if (protocols.some((p) => /\s/.test(p))) throw new SyntaxError("invalid subprotocol");
    attempts.push(protocols);
  }
  close() { setImmediate(() => this.onclose({})); }
};
const WsdPubsub = require("../wsd-pubsub.js");

const tokens = ["a\n", "b"];
const errors = [], closes = [];
const ps = new WsdPubsub("http://127.0.0.1/pubsub", {
  token: async () => tokens.shift(), minDelay: 1,
  onerror: (e) => errors.push(e), onclose: (e) => closes.push(e),
});
const end = Date.now() + 30_000;
const look = setInterval(() => {
  if (attempts.length === 0 && Date.now() < end) return;
  clearInterval(look);
  ps.close();
  assert.deepEqual(attempts, [["wsd.json.v1", "bearer.b"]]);
  assert.deepEqual(errors.map((e) => e.name), ["SyntaxError"]);
  assert.deepEqual(closes.map((e) => e.reason), ["no token"]);
}, 2);

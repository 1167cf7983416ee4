// Ends subscriptions before the server has answered: nothing waits for those answers,
// and what the server then says of them is nobody's.
const assert = require("node:assert");
const { WsdPubsub, sent, receive } = require("./played.cjs");

(async () => {
  const errors = [];
  const ps = new WsdPubsub("http://127.0.0.1/pubsub", { maxWaiting: 3, onerror: (e) => errors.push(e) });
  await new Promise(setImmediate);
  receive({ op: "hello", v: 1, server: "s", connection: "c", ping: 25 });
  for (let i = 0; i < 5; i++) ps.subscribe("t").unsubscribe();
  const published = ps.publish("t", 1);
  receive({ op: "ok", id: sent.at(-1).id });
  await published;

  const first = sent.find((m) => m.op === "subscribe");
  const sub = ps.subscribe("t");
  receive({ op: "error", id: first.id, topic: "t", code: "forbidden", message: "late" });
  receive({ op: "ok", id: sent.at(-1).id });
  await sub.ready;
  assert.deepStrictEqual(errors, []);
  ps.close();
})().catch((e) => {
  console.error(e);
  process.exit(1);
});

// Has joins and leaves missed: the client asks who is there by itself, once, again
// where that fails, and corrects the answer by what came meanwhile.
const assert = require("node:assert");
const { WsdPubsub, sent, receive } = require("./played.cjs");
const someone = (connection) => ({ user: "u", connection });
const asked = async (n) => {
  let all;
  do {
    await new Promise((resolve) => setTimeout(resolve, 1));
    all = sent.filter((m) => m.op === "presence");
  } while (all.length < n);
  return all.at(-1).id;
};

(async () => {
  const errors = [], told = [], gaps = [];
  const ps = new WsdPubsub("http://127.0.0.1/pubsub", { minDelay: 5, onerror: (e) => errors.push(e) });
  await new Promise(setImmediate);
  receive({ op: "hello", v: 1, server: "s", connection: "me", ping: 25 });
  const sub = ps.subscribe("t", {
    present: ({ members, total }) => told.push([members.map((m) => m.connection).join(), total]),
    gap: (m) => gaps.push(m.lost),
  });
  assert.strictEqual(sent.at(-1).presence, true);
  receive({ op: "join", topic: "t", ...someone("b") });
  receive({ op: "ok", id: sent.at(-1).id, members: [someone("me"), someone("a")], total: 2 });
  await sub.ready;
  assert.deepStrictEqual(told, [["me,a,b", 3]]);

  const missed = { op: "gap", topic: "t", reason: "backpressure", lost: 0, presence: true };
  receive(missed);
  receive(missed);
  receive({ op: "error", id: await asked(1), code: "unavailable", message: "later" });
  const id = await asked(2);
  receive({ op: "leave", topic: "t", ...someone("a") });
  receive({ op: "join", topic: "t", ...someone("c") });
  receive({ op: "ok", id, members: [someone("me"), someone("a"), someone("b")], total: 3 });
  await new Promise(setImmediate);
  assert.deepStrictEqual(told.slice(1), [["me,b,c", 3]]);
  assert.deepStrictEqual(gaps, []);

  receive({ ...missed, lost: 2 });
  receive({ op: "ok", id: await asked(3), members: [], total: 0 });
  await new Promise(setImmediate);
  assert.deepStrictEqual(told.slice(2), [["", 0]]);
  assert.deepStrictEqual(gaps, [2]);
  receive(missed);
  ps.close(); // nobody asks any more
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.strictEqual(sent.filter((m) => m.op === "presence").length, 3);
  assert.deepStrictEqual(errors, []);
})().catch((e) => {
  console.error(e);
  process.exit(1);
});

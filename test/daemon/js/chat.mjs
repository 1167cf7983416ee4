// node chat.mjs
//
// The chat page with a document and a server that this script plays: with a token it
// connects again by itself when the server was away, and asks for another token only
// when the server is there and does not take it.
import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import vm from 'node:vm';

const elements = {};
const element = () => ({ value: '', dataset: {}, append() {}, focus() {}, scrollHeight: 0, scrollTop: 0, clientHeight: 0 });
const sockets = [];
let later; // what waits for a time-out
let health; // what GET /health gets
const page = vm.createContext({
  document: {
    body: { dataset: { token: 'needed' } },
    getElementById: (id) => (elements[id] ??= element()),
    querySelector: element,
    createElement: element,
  },
  location: { origin: 'http://127.0.0.1' },
  WebSocket: class { constructor() { sockets.push(this); } },
  fetch: async () => health(),
  setTimeout: (fn) => { later = fn; },
  clearTimeout: () => { later = undefined; },
});
vm.runInContext(readFileSync(new URL('../../../cmd/wsd/startpage/chat.js', import.meta.url), 'utf8'), page);

elements.token = { ...element(), value: 'a token' };
elements.access.onsubmit({ preventDefault() {} });
sockets[0].onopen();
assert(elements.access.hidden);
await sockets[0].onclose({ code: 1006, reason: '' });
const away = [() => { throw new Error('refused'); }, () => ({ ok: false })];
for (const [i, answer] of away.entries()) {
  health = answer;
  later();
  await sockets[i + 1].onclose({ code: 1006, reason: '' });
  assert(later, 'it does not try again');
  assert(elements.access.hidden, 'it asks for a token');
}
health = () => ({ ok: true });
later();
await sockets[3].onclose({ code: 1006, reason: '' });
assert(!later, 'it tries again with a token that is not taken');
assert(!elements.access.hidden, 'it does not ask for a token');

// Events and acknowledgements, text and binary.
import { bytes, check, equal } from '../compare.mjs';
import { ask, inbox, next } from '../user.mjs';

/** Arguments that must come back as they went. */
const values = {
  nothing: [],
  'an empty text': [''],
  'a text': ['hello'],
  'huge numbers': [1e21, -1e300],
  numbers: [0, -1, 1.5, -1e-7, 2 ** 53, -(2 ** 53), 4294967296, 255, 256, 65535, 65536],
  'true, false and null': [true, false, null],
  unicode: ['h\u00e9llo', '\u20ac\u{1f600}', '\u2028\u2029', '<&>"\\/', '\u0000\u001e\u007f', '\uffff'],
  objects: [{}, { a: 1, b: { c: [1, 2, { d: null }] } }, { '': 0, '\u{1f600}': '\u{1f600}' }],
  lists: [[], [[]], [1, [2, [3, [4]]]]],
  'keys of prototypes': [JSON.parse('{"__proto__":{"polluted":true},"constructor":1,"toString":2}')],
  'texts like packets': ['42["a"]', '{"_placeholder":true,"num":0}', '451-["x",{"_placeholder":true,"num":0}]'],
  'a long list': [Array.from({ length: 1000 }, (_, i) => i)],
  'many arguments': Array.from({ length: 100 }, (_, i) => `argument ${i}`),
  'a long text': ['0123456789abcdef\u20ac'.repeat(4000)],
  'deep objects': [Array.from({ length: 60 }).reduce((inner) => ({ inner }), 'core')],
};

const binaries = (shared = bytes(10)) => ({
  'one binary': [bytes(100)],
  'no bytes': [bytes(0)],
  'binary between others': ['before', bytes(3), 'after', bytes(4, 1), null],
  'nested binary': [{ a: { b: [1, bytes(5), { c: bytes(6, 2) }] }, z: 'end' }, [bytes(1)]],
  'the same binary twice': [shared, { again: shared }],
  'ten binaries': [Array.from({ length: 10 }, (_, i) => bytes(i * 10, i))],
  'much binary': [bytes(200_000)],
  'an ArrayBuffer': [new ArrayBuffer(33)],
});

/** The parsers and revisions that cannot carry some of it. */
function carries(user, name) {
  if (user.parser === 'msgpack') return !['keys of prototypes', 'an ArrayBuffer', 'huge numbers'].includes(name);
  return true;
}

async function messageComesBack(user, all) {
  const socket = await user.open('/');
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  for (const [name, args] of Object.entries(all)) {
    if (!carries(user, name)) continue;
    for (const s of [socket, custom]) {
      const back = next(s, 'message-back');
      s.emit('message', ...args);
      equal(await back, args, name);
      equal(await ask(s, 'message-with-ack', ...args), args, `${name}, acknowledged`);
    }
  }
}

export const texts = (user) => messageComesBack(user, values);
export const binary = (user) => messageComesBack(user, binaries());

/** What is emitted in a row arrives in this order, binary or not, from the first moment on. */
export async function order(user) {
  const socket = user.dial('/');
  const back = inbox(socket, 'message-back');
  for (let i = 0; i < 300; i++) {
    socket.emit('message', i, i % 3 === 0 ? bytes(i + 1) : `text ${i}`);
  }
  await user.ready(socket);
  const got = await back.wait(300);
  got.forEach((args, i) => equal(args, [i, i % 3 === 0 ? bytes(i + 1) : `text ${i}`], `message ${i}`));
}

/** Two namespaces of a connection keep their own order. */
export async function orderOfNamespaces(user) {
  const socket = await user.open('/');
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  const all = [inbox(socket, 'message-back'), inbox(custom, 'message-back')];
  for (let i = 0; i < 100; i++) {
    socket.emit('message', i, bytes(3));
    custom.emit('message', i);
  }
  for (const one of all) (await one.wait(100)).forEach((args, i) => equal(args[0], i, 'number'));
}

/** Many questions at once: each gets its own answer, and one only. */
export async function acks(user) {
  const socket = await user.open('/custom');
  let calls = 0;
  await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    const args = i % 2 ? [i, { i }] : [i, bytes(i)];
    const answer = await ask(socket, 'message-with-ack', ...args);
    calls++;
    equal(answer, args, `answer ${i}`);
  }));
  equal(calls, 200, 'answers');
}

/** An event that nobody handles does no harm, with an acknowledgement wanted or not. */
export async function unknownEvents(user) {
  const socket = await user.open('/');
  let answered = false;
  socket.emit('nobody-listens', () => { answered = true; });
  socket.emit('nobody-listens', bytes(4));
  for (const name of ['connection', 'error', 'message-back', '__proto__', 'constructor', 'toString', '']) socket.emit(name, 1);
  equal(await ask(socket, 'message-with-ack', 'still here'), ['still here'], 'an answer');
  check(!answered, 'an unknown event was acknowledged');
}

/** timeout() ends a wait, and lets an answer in time through. */
export async function timeouts(user) {
  if (user.version < 4) return;
  const socket = await user.open('/');
  const error = await new Promise((resolve) => {
    socket.timeout(50).emit('nobody-answers', bytes(2), (e, ...rest) => resolve([e.message, rest.length]));
  });
  equal(error, ['operation has timed out', 0], 'the callback of a timeout');
  const rejected = await socket.timeout(50).emitWithAck('nobody-answers').catch((e) => e.message);
  equal(rejected, 'operation has timed out', 'the promise of a timeout');
  equal(await socket.timeout(9000).emitWithAck('message-with-ack', { a: bytes(3) }), { a: bytes(3) }, 'an answer in time');
  const [e, answer] = await new Promise((resolve) => {
    socket.timeout(9000).emit('message-with-ack', 'x', (...args) => resolve(args));
  });
  equal([e, answer], [null, 'x'], 'a callback in time');
}

/** Volatile events of a client come back when they went at all. */
export async function volatile(user) {
  const socket = await user.open('/');
  if (!socket.volatile) return;
  const back = inbox(socket, 'message-back');
  for (let i = 0; i < 50; i++) socket.volatile.emit('message', i, bytes(i));
  await ask(socket, 'message-with-ack', 'end');
  for (const [i, data] of back.got) equal(data, bytes(i), `volatile message ${i}`);
  const numbers = back.got.map(([i]) => i);
  equal(numbers, [...new Set(numbers)].sort((a, b) => a - b), 'order of volatile messages');
}

/** Texts and binaries up to what fits, both ways. */
export async function large(user) {
  const socket = await user.open('/');
  for (const size of [125, 126, 65_535, 65_536, 500_000]) {
    equal((await ask(socket, 'message-with-ack', 'x'.repeat(size)))[0].length, size, 'length of a text');
    equal(await ask(socket, 'message-with-ack', bytes(size)), [bytes(size)], `${size} bytes`);
  }
}

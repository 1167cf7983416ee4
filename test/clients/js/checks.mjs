// What every JavaScript client must see of a wsd server. It is written against
// the WebSocket interface of browsers, and runs in Node and in a page alike:
// it imports nothing. Each function returns a list of problems.

const timeout = 15_000;

/** Shows an event, without the whole of a long message. */
function show(e) {
  if (e.type !== 'message') return JSON.stringify(e);
  return typeof e.data === 'string' ? `a text of ${e.data.length} characters` : `${e.data.byteLength} bytes`;
}

/** Opens url and collects what happens to the socket. */
export function open(WebSocket, url) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const events = [];
  let wake = () => {};
  const add = (e) => { events.push(e); wake(); };
  socket.addEventListener('open', () => add({ type: 'open' }));
  socket.addEventListener('error', () => add({ type: 'error' }));
  socket.addEventListener('message', (e) => add({ type: 'message', data: e.data }));
  socket.addEventListener('close', (e) => add({ type: 'close', code: e.code, reason: e.reason, wasClean: e.wasClean }));
  const next = async () => {
    const until = Date.now() + timeout;
    while (events.length === 0) {
      const left = until - Date.now();
      if (left <= 0) throw new Error(`${url}: nothing happened for ${timeout} ms`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        wake = () => { clearTimeout(timer); resolve(); };
      });
    }
    return events.shift();
  };
  const want = async (type) => {
    const e = await next();
    if (e.type !== type) throw new Error(`${url}: ${show(e)}, want ${type}`);
    return e;
  };
  return { socket, want, next };
}

async function opened(WebSocket, url) {
  const c = open(WebSocket, url);
  await c.want('open');
  return c;
}

const sizes = [0, 1, 2, 125, 126, 127, 1000, 4096, 16383, 16384];
const letters = 'abcdefghijklmnopqrstuvwxyz ';

function text(size) {
  let s = '';
  while (s.length < size) s += letters + s.length;
  return s.slice(0, size);
}

function bytes(size) {
  return Uint8Array.from({ length: size }, (_, i) => (i * i) >> 3);
}

const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

async function echoes(c, problems, message, what) {
  c.socket.send(message);
  const { data } = await c.want('message');
  const equal = typeof message === 'string'
    ? data === message
    : data instanceof ArrayBuffer && same(new Uint8Array(data), message);
  if (!equal) problems.push(`echo of ${what} differs`);
}

/** Texts and binaries of many sizes, alone and in a row. */
async function echo(WebSocket, { url, compressed }, problems) {
  const c = await opened(WebSocket, `${url}/echo`);
  if (c.socket.extensions.includes('permessage-deflate') !== compressed) {
    problems.push(`extensions are "${c.socket.extensions}", compressed should be ${compressed}`);
  }
  for (const size of sizes) {
    await echoes(c, problems, text(size), `${size} characters`);
    await echoes(c, problems, bytes(size), `${size} bytes`);
  }
  await echoes(c, problems, 'h\u00e9llo \u20ac \u{1f600} \u0000 \uffff', 'code points');
  await echoes(c, problems, '\u{1f600}'.repeat(4096), '4,096 emoji');
  for (let i = 0; i < 300; i++) c.socket.send(`${i} ${text(i)}`);
  for (let i = 0; i < 300; i++) {
    const { data } = await c.want('message');
    if (data !== `${i} ${text(i)}`) problems.push(`message ${i} of a row differs`);
  }
  c.socket.close();
  const e = await c.want('close');
  if (!e.wasClean) problems.push('a close without code is not clean');
}

/** The client's codes come back; the server's arrive. */
async function closes(WebSocket, { url }, problems) {
  for (const [code, reason] of [[1000, ''], [1000, 'done'], [3000, 'mine'], [4999, '\u20ac'.repeat(41)]]) {
    const c = await opened(WebSocket, `${url}/echo`);
    c.socket.close(code, reason);
    const e = await c.want('close');
    if (e.code !== code || !e.wasClean) problems.push(`closed with ${code}, got ${show(e)}`);
  }
  const c = await opened(WebSocket, `${url}/echo`);
  c.socket.send(text(16385));
  let e = await c.next();
  while (e.type === 'error') e = await c.next();
  if (e.type !== 'close' || e.code !== 1009 || !e.wasClean) problems.push(`a message too big: ${show(e)}`);
}

/** What one client sends to a topic the others get, in order, and it does not. */
async function topics(WebSocket, { url, topic }, problems) {
  const [a, b, other, own] = await Promise.all([
    opened(WebSocket, `${url}/topics/${topic}`),
    opened(WebSocket, `${url}/topics/${topic}`),
    opened(WebSocket, `${url}/topics/${topic}/other`),
    opened(WebSocket, `${url}/topics/${topic}/own?self=1`),
  ]);
  for (let i = 0; i < 100; i++) a.socket.send(`${i} ${text(i * 20)}`);
  a.socket.send(bytes(5000));
  for (let i = 0; i < 100; i++) {
    const { data } = await b.want('message');
    if (data !== `${i} ${text(i * 20)}`) problems.push(`publication ${i} differs`);
  }
  const { data } = await b.want('message');
  if (!(data instanceof ArrayBuffer) || !same(new Uint8Array(data), bytes(5000))) problems.push('a binary publication differs');
  b.socket.send('answer');
  if ((await a.want('message')).data !== 'answer') problems.push('the sender got something else than the answer');
  own.socket.send('to myself');
  if ((await own.want('message')).data !== 'to myself') problems.push('self=1 did not deliver');
  for (const c of [a, b, other, own]) {
    c.socket.close(1000);
    await c.want('close'); // anything undelivered would come first
  }
}

/** Every check of one server; target: {url, compressed, topic}. */
export async function checks(WebSocket, target) {
  const problems = [];
  for (const check of [echo, closes, topics]) {
    try {
      await check(WebSocket, target, problems);
    } catch (e) {
      problems.push(`${check.name}: ${e.message}`);
    }
  }
  return problems;
}

/** A connection that only answers the server's pings must outlive the idle timeout. */
export async function idle(WebSocket, { url, milliseconds }) {
  const problems = [];
  const c = await opened(WebSocket, `${url}/echo`);
  await new Promise((resolve) => { setTimeout(resolve, milliseconds); });
  await echoes(c, problems, 'awake', 'a text after idling');
  return problems;
}

/** Says ready, and expects the server to go away. */
export async function drain(WebSocket, { url }, ready) {
  const c = await opened(WebSocket, `${url}/echo`);
  await ready();
  const e = await c.want('close');
  return e.code === 1001 && e.wasClean ? [] : [`draining server: ${show(e)}`];
}

/** A server that must refuse: foreign origin, or at capacity with a close code. */
export async function refused(WebSocket, { url, code }) {
  const c = open(WebSocket, `${url}/echo`);
  let e = await c.next();
  if (code) {
    if (e.type !== 'open') return [`${show(e)}, want open`];
    e = await c.next();
    return e.type === 'close' && e.code === code ? [] : [`${show(e)}, want close ${code}`];
  }
  return e.type === 'error' ? [] : [`${show(e)}, want error`];
}

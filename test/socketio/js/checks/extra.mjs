// What an application can do beyond the events of test/sioserver.
import { bytes, check, equal, eventually, unique } from '../compare.mjs';
import { ask, inbox, next, settled, upgraded } from '../user.mjs';

/** A middleware refuses with its words and data, or lets in. */
export async function middleware(user) {
  if (user.version === 2) {
    const e = await settled(user.dial('/guarded?token=none'));
    equal(e.data, { code: 401, hint: ['log in', null] }, 'data of a refusal');
    await user.open('/guarded?token=secret');
    return;
  }
  const socket = user.dial('/guarded');
  const error = await settled(socket);
  equal([error.message, error.data], ['unauthorized', { code: 401, hint: ['log in', null] }], 'refusal');
  check(!socket.connected && !socket.id, 'a refused socket is connected');
  const plain = await settled(user.dial('/guarded', { auth: { token: 'plain' } }));
  equal([plain.message, plain.data], ['a plain error', undefined], 'refusal without data');
  socket.auth = { token: 'secret' };
  const [early, hello] = [inbox(socket, 'early'), inbox(socket, 'hello')];
  socket.connect();
  await user.ready(socket);
  equal(await hello.wait(3), [[0], [1], [2]], 'events of the connection handler');
  equal(early.got, [[1], [1]], 'events of the middleware, that of the refusal among them');
  const [who] = await ask(socket, 'who');
  equal([who.namespace, who.id, who.rooms.sort(), who.data], ['/guarded', socket.id, [socket.id, 'by middleware'].sort(), { user: 'known' }], 'who');
}

export async function dynamicNamespaces(user) {
  for (const name of ['/room-1', '/room-2']) {
    const [who] = await ask(await user.open(name), 'who');
    equal(who.namespace, name, 'namespace');
  }
  equal((await settled(user.dial('/room-x')))?.message, 'Invalid namespace', 'refusal');
  if (user.version === 2) return;
  const [who] = await ask(await user.open('/any', { auth: { allow: true } }), 'who');
  equal(who.namespace, '/any', 'namespace by function');
  for (const [name, auth] of [['/other', {}], ['/never', { allow: true }]]) {
    equal((await settled(user.dial(name, { auth })))?.message, 'Invalid namespace', `refusal of ${name}`);
  }
}

export async function handshake(user) {
  const header = user.origin === undefined ? 'x' : ''; // pages can't set headers on a WebSocket
  const options = { query: { q: '\u20ac & 1' }, ...header && { extraHeaders: { 'X-Test': header } } };
  const auth = { a: [1, null, { b: '\u{1f600}' }] };
  if (user.version > 2) options.auth = auth;
  const [got] = await ask(await user.open('/', options), 'handshake');
  equal(got, { query: '\u20ac & 1', auth: user.version > 2 ? auth : {}, header, secure: false }, 'handshake');
}

/** The server asks; the client answers in time, or does not. */
export async function serverCalls(user) {
  const socket = await user.open('/');
  socket.on('question', (...args) => { args.pop()(...args, 'and more'); });
  equal(await ask(socket, 'call', 'question'), [{ answer: ['and more'] }], 'answer without arguments');
  for (const args of [[1, 'x', null], [{ deep: [bytes(5)] }, bytes(0)]]) {
    equal(await ask(socket, 'call', 'question', ...args), [{ answer: [...args, 'and more'] }], 'answer');
  }
  socket.on('nothing', (ack) => { ack(); });
  equal(await ask(socket, 'call', 'nothing'), [{ answer: [] }], 'an empty answer');
  let late;
  socket.on('silence', (ack) => { late = ack; });
  equal(await ask(socket, 'call', 'silence'), [{ error: 'operation has timed out' }], 'no answer');
  late('too late');
  equal(await ask(socket, 'ack-twice'), [1], 'the first of two acknowledgements');
  equal(await ask(socket, 'call', 'question', 1), [{ answer: [1, 'and more'] }], 'answer behind a late one');
}

/** Volatile events may be missing; what comes is whole and in order. */
export async function serverVolatile(user) {
  const socket = await user.open('/');
  const got = inbox(socket, 'vapour');
  const end = next(socket, 'vapour-end');
  socket.emit('volatile', 50);
  await end;
  for (const [i, data] of got.got) equal(data, new Uint8Array(i % 3), `volatile event ${i}`);
  const numbers = got.got.map(([i]) => i);
  equal(numbers, [...new Set(numbers)].sort((a, b) => a - b), 'order');
  if (user.transport === 'polling') check(numbers.length < 50, 'nothing was dropped, though nobody polled');
}

/** A middleware of the socket keeps an event from its handlers. */
export async function socketMiddleware(user) {
  const socket = await user.open('/');
  const refused = inbox(socket, 'refused');
  socket.emit('forbidden', 1);
  equal(await refused.wait(1), [['not that event']], 'refusal');
  socket.emit('nobody-listens');
  const [names] = await ask(socket, 'names');
  check(names.includes('nobody-listens') && names.at(-1) === 'names', `names are ${names}`);
  equal(refused.got.length, 1, 'refusals');
}

export async function uncompressed(user) {
  const socket = await user.open('/');
  const back = next(socket, 'plain-back');
  socket.emit('plain', 'x'.repeat(5000), bytes(5000));
  equal(await back, ['x'.repeat(5000), bytes(5000)], 'an uncompressed event');
}

/** Who joins is reached by the next broadcast. */
export async function joinAndTell(user) {
  const [a, b] = await user.many(2);
  const [room, mail] = [unique('room'), inbox(a, 'joined')];
  for (const s of [a, b]) {
    const told = next(s, 'joined');
    s.emit('join-and-tell', room);
    equal(await told, [s.id], 'the joiner hears of itself');
  }
  equal(await mail.wait(2), [[a.id], [b.id]], 'joins');
}

export async function fromElsewhere(user) {
  const socket = await user.open('/');
  const mail = inbox(socket, 'late');
  socket.emit('later', 200);
  (await mail.wait(200)).forEach(([n], i) => equal(n, i, 'number'));
}

/** A handler that takes its time delays no other socket. */
export async function slowHandler(user) {
  const [a, b] = await user.many(2);
  let done = false;
  const slow = ask(a, 'slow').then((answer) => { done = true; return answer; });
  for (let i = 0; i < 10; i++) await ask(b, 'who');
  check(!done || user.transport === 'polling', 'the slow handler came first');
  equal(await slow, ['slow'], 'the slow answer');
}

/** Why sockets end, as the server sees it, with the rooms they leave. */
export async function serverReasons(user) {
  const witness = await user.open('/');
  const cases = {
    'client namespace disconnect': (s) => s.disconnect(),
    'server namespace disconnect': (s) => s.emit('kick', false),
    'transport close': (s) => s.io.engine.close(),
    'forced close': (s) => s.io.engine.write('4nonsense'),
  };
  if (user.transport !== 'polling') cases['parse error'] = (s) => s.io.engine.transport.ws.send('9');
  for (const [reason, end] of Object.entries(cases)) {
    const socket = await user.open('/');
    if (user.transport === 'upgrade') await upgraded(socket);
    const { id } = socket;
    const room = unique('room');
    const joined = next(socket, 'joined');
    socket.emit('join-and-tell', room);
    await joined;
    end(socket);
    let log;
    await eventually(async () => { [log] = await ask(witness, 'ended', id); return log.length >= 2; }, `end by ${reason}`);
    equal(log, [['disconnecting', reason, 2], ['disconnect', reason, 0]], `log of ${reason}`);
  }
}

/** disconnect(true) ends both namespaces of a connection. */
export async function kicked(user) {
  const witness = await user.open('/');
  const socket = await user.open('/');
  const other = user.beside(socket, '/room-3');
  await user.ready(other);
  const ids = [socket.id, other.id];
  const reasons = [next(socket, 'disconnect'), next(other, 'disconnect')];
  socket.emit('kick', true);
  for (const r of reasons) equal((await r)[0], 'io server disconnect', 'reason of the client');
  for (const id of ids) {
    await eventually(async () => (await ask(witness, 'ended', id))[0].length === 2, 'the log');
    const [log] = await ask(witness, 'ended', id);
    equal(log.map(([event, reason]) => [event, reason]), [['disconnecting', 'server namespace disconnect'], ['disconnect', 'server namespace disconnect']], 'log');
  }
}

// What a client does by itself when its connection breaks.
import { bytes, check, equal, unique } from '../compare.mjs';
import { proxy } from '../proxy.mjs';
import { ask, far, inbox, next } from '../user.mjs';

const eager = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50, timeout: 5000 };

async function behindProxy(user, run) {
  const p = await proxy(user.url);
  try {
    await run(p, { url: p.url, ...eager });
  } finally {
    user.close();
    p.close();
  }
}

/** Both namespaces come back with new ids, and what was emitted meanwhile arrives, in order. */
export const afterACut = (user) => behindProxy(user, async (p, options) => {
  const socket = await user.open('/', options);
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  const ids = [socket.id, custom.id];
  const room = unique('room');
  await far(socket, 'join', room);
  const [reasons, back] = [[next(socket, 'disconnect'), next(custom, 'disconnect')], next(socket.io, 'reconnect')];
  const again = [next(socket, 'auth'), next(custom, 'auth')];
  await p.shut();
  for (const reason of reasons) {
    check(['transport close', 'transport error'].includes((await reason)[0]), `reason ${(await reason)[0]}`);
  }
  const [mail, customMail] = [inbox(socket, 'message-back'), inbox(custom, 'message-back')];
  for (let i = 0; i < 10; i++) {
    socket.emit('message', i, bytes(i));
    custom.emit('message', i);
  }
  await p.open();
  await back;
  for (const one of again) equal(await one, [{}], 'auth');
  (await mail.wait(10)).forEach((args, i) => equal(args, [i, bytes(i)], `buffered message ${i}`));
  (await customMail.wait(10)).forEach((args, i) => equal(args, [i], `buffered message ${i} of /custom`));
  check(!ids.includes(socket.id) && !ids.includes(custom.id), 'the ids are the old ones');
  check(!(await far(socket, 'rooms')).includes(room), 'it is still in its room');
  check(!socket.recovered, 'it claims to be recovered');
});

/** Again and again, and never twice at once. */
export const manyTimes = (user) => behindProxy(user, async (p, options) => {
  const socket = await user.open('/', options);
  let connects = 0;
  socket.on('connect', () => { connects++; });
  for (let i = 1; i <= 5; i++) {
    await p.interrupt(socket);
    equal(await ask(socket, 'message-with-ack', i), [i], 'an answer');
  }
  equal(connects, 5, 'connects');
});

/** A server that is not there yet. */
export const untilThere = (user) => behindProxy(user, async (p, options) => {
  await p.shut();
  const socket = user.dial('/', options);
  const attempt = next(socket.io, 'reconnect_attempt');
  await next(socket, 'connect_error');
  await attempt;
  const connected = user.ready(socket).catch(() => next(socket, 'connect'));
  await p.open();
  await connected;
  equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer');
});

export const givesUp = (user) => behindProxy(user, async (p, options) => {
  const socket = await user.open('/', { ...options, reconnectionAttempts: 2 });
  const failed = next(socket.io, 'reconnect_failed');
  let attempts = 0;
  socket.io.on('reconnect_attempt', () => { attempts++; });
  await p.shut();
  await failed;
  equal(attempts, 2, 'attempts');
  await p.open();
  socket.connect();
  await next(socket, 'connect');
  equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer');
});

/** disconnect() by either side is final. */
export const notAfterDisconnect = (user) => behindProxy(user, async (p, options) => {
  const socket = await user.open('/', options);
  let attempts = 0;
  socket.io.on('reconnect_attempt', () => { attempts++; });
  const reason = next(socket, 'disconnect');
  await far(socket, 'socketsDisconnect', { rooms: [socket.id] });
  equal((await reason)[0], 'io server disconnect', 'reason');
  const other = await user.open('/', options);
  other.io.on('reconnect_attempt', () => { attempts++; });
  other.disconnect();
  const witness = await user.open('/', options);
  await p.interrupt(witness); // the others have as much time
  check(!other.connected, 'a disconnected socket is connected');
  check(attempts <= 1, 'a disconnected socket reconnects'); // the first socket's manager still has a connection to lose
});

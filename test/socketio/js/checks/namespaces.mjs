// Connecting: auth, namespaces, and how they end.
import { check, equal, eventually, unique } from '../compare.mjs';
import { ask, far, inbox, next, settled } from '../user.mjs';

/** Both namespaces give ids of their own and tell the auth they got. */
export async function auth(user) {
  const given = { token: 'abc', nested: { list: [1, null, '\u20ac'] } };
  for (const nsp of ['/', '/custom']) {
    const cases = { 'without any': [{}, {}] };
    if (user.version > 2) {
      cases['as an object'] = [{ auth: given }, given];
      cases['by a function'] = [{ auth: (done) => { setTimeout(done, 5, given); } }, given];
    }
    for (const [name, [options, want]] of Object.entries(cases)) {
      equal(await next(user.dial(nsp, options), 'auth'), [want], `auth of ${nsp} ${name}`);
      user.close();
    }
  }
  if (user.version === 2) {
    const query = user.dial('/custom?token=abc&x=1');
    equal(await next(query, 'auth'), [{ token: 'abc', x: '1' }], 'auth in the query of a namespace');
  }
}

/** Two namespaces share a connection and nothing else. */
export async function sharedConnection(user) {
  const socket = await user.open('/');
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  check(custom.io === socket.io && custom.io.engine === socket.io.engine, 'the connection is not shared');
  check(socket.id !== custom.id, 'the ids are equal');
  if (user.version > 2) check(![socket.id, custom.id].includes(socket.io.engine.id), 'a socket has the id of the session');
  if (user.version > 2) check(/^[\w-]{20}$/.test(socket.id), `the id is ${socket.id}`);
  check(socket.io.engine.id.length === 20, `the session's id is ${socket.io.engine.id}`);
  const room = unique('room');
  await far(socket, 'join', room);
  await far(custom, 'join', room);
  const [a, b] = [inbox(socket, room), inbox(custom, room)];
  await far(socket, 'broadcast', { rooms: [room], event: room, args: ['main'] });
  await far(custom, 'broadcast', { rooms: [room], event: room, args: ['custom'] });
  await a.wait(1);
  await b.wait(1);
  equal([a.got, b.got], [[['main']], [['custom']]], 'events of the namespaces');
}

/** A namespace that does not exist refuses, and the connection stays. */
export async function invalidNamespace(user) {
  const socket = await user.open('/');
  const nope = user.beside(socket, '/nope');
  const error = await settled(nope);
  equal(error?.message, 'Invalid namespace', 'refusal');
  check(!nope.connected, 'it is connected');
  if (user.version === 4) check(!nope.active, 'it tries on');
  equal(await ask(socket, 'message-with-ack', 1), [1], 'answer of the other namespace');
  const alone = user.dial('/nope');
  equal((await settled(alone))?.message, 'Invalid namespace', 'refusal of the first namespace');
}

/** One namespace can be left and entered again. */
export async function leaveAndReturn(user) {
  const socket = await user.open('/');
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  const before = custom.id;
  const left = next(custom, 'disconnect');
  custom.disconnect();
  equal((await left)[0], 'io client disconnect', 'reason');
  equal(await ask(socket, 'message-with-ack', 1), [1], 'answer of the other namespace');
  const again = next(custom, 'auth');
  custom.connect();
  equal(await again, [{}], 'auth of the second connect');
  await user.ready(custom);
  if (user.version > 2) check(custom.id !== before, 'the id is the old one');
  equal(await ask(custom, 'message-with-ack', 2), [2], 'answer after the return');
}

/** disconnect() of the last namespace ends the connection; the server forgets the socket. */
export async function clientDisconnects(user) {
  const [leaver, stayer] = await user.many(2);
  const room = unique('room');
  await far(leaver, 'join', room);
  equal((await far(stayer, 'fetch', { rooms: [room] })).length, 1, 'members');
  const left = next(leaver, 'disconnect');
  leaver.disconnect();
  equal((await left)[0], 'io client disconnect', 'reason');
  await eventually(async () => (await far(stayer, 'fetch', { rooms: [room] })).length === 0, 'the member leaves');
}

/** A connection that breaks is forgotten too. */
export async function clientVanishes(user) {
  const [leaver, stayer] = await user.many(2);
  const room = unique('room');
  await far(leaver, 'join', room);
  const left = next(leaver, 'disconnect');
  leaver.io.engine.close();
  check(['forced close', 'transport close'].includes((await left)[0]), 'reason');
  await eventually(async () => (await far(stayer, 'fetch', { rooms: [room] })).length === 0, 'the member leaves');
}

/** The server ends a namespace, and the connection stays. */
export async function serverDisconnects(user) {
  const stayer = await user.open('/custom');
  const socket = await user.open('/');
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  const room = unique('room');
  await far(custom, 'join', room);
  const reason = next(custom, 'disconnect');
  await far(stayer, 'socketsDisconnect', { rooms: [room] });
  equal((await reason)[0], 'io server disconnect', 'reason');
  equal(await ask(socket, 'message-with-ack', 1), [1], 'answer of the other namespace');
  custom.connect();
  await user.ready(custom);
  equal(await ask(custom, 'message-with-ack', 2), [2], 'answer after the return');
}

/** The server ends the connection with all its namespaces. */
export async function serverCloses(user) {
  const stayer = await user.open('/');
  const socket = await user.open('/');
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  const room = unique('room');
  await far(socket, 'join', room);
  const reasons = [next(socket, 'disconnect'), next(custom, 'disconnect')];
  await far(stayer, 'socketsDisconnect', { rooms: [room], close: true });
  for (const reason of reasons) equal((await reason)[0], 'io server disconnect', 'reason');
  await eventually(() => socket.io.engine?.readyState !== 'open', 'the end of the connection');
}

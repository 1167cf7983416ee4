// Connection state recovery, of servers started with --recovery.
import { bytes, check, equal, eventually, pause, unique } from '../compare.mjs';
import { proxy } from '../proxy.mjs';
import { ask, far, inbox, next } from '../user.mjs';

const eager = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50 };

async function behindProxy(user, run) {
  const p = await proxy(user.url);
  try {
    await run(p, { url: p.url, ...eager });
  } finally {
    user.close();
    p.close();
  }
}

/** The server must have noticed that the socket is away. */
const gone = (witness, room) => eventually(
  async () => (await far(witness, 'fetch', { rooms: [room] })).length === 0, 'the server notices');

/** Id, rooms, data and every missed event come back. */
export const recovers = (user) => behindProxy(user, async (p, options) => {
  const [event, room, secret] = [unique('event'), unique('room'), unique('secret')];
  const sender = await user.open('/');
  const socket = await user.open('/', options);
  const mail = inbox(socket, event);
  check(!socket.recovered, 'recovered at the first connect');
  const { id } = socket;
  for (const r of [room, secret]) await far(socket, 'join', r);
  await far(socket, 'data', { kept: [1, 2] });
  const send = (to, ...args) => far(sender, 'broadcast', { ...to, event, args });
  await send({ rooms: [room] }, 0);
  await mail.wait(1);

  for (let round = 1; round <= 3; round++) {
    const before = mail.got.length;
    await p.shut();
    await gone(sender, room);
    await send({ rooms: [room] }, 'text', round);
    await send({ rooms: [room] }, 'binary', { deep: bytes(50) }, bytes(0));
    await send({ rooms: [id] }, 'to itself');
    await send({ rooms: [unique('nobody')] }, 'not for it');
    await send({ rooms: [room], except: [secret] }, 'not for it');
    await send({}, 'to all');
    const connected = next(socket, 'connect');
    await p.open();
    await connected;
    check(socket.recovered, `not recovered in round ${round}`);
    equal(socket.id, id, 'id');
    await send({ rooms: [room] }, 'live');
    const got = (await mail.wait(before + 5)).slice(before);
    equal(got.map((args) => args.slice(0, -1)), [
      ['text', round], ['binary', { deep: bytes(50) }, bytes(0)], ['to itself'], ['to all'], ['live'],
    ], 'events');
    for (const args of got) check(typeof args.at(-1) === 'string', 'an event has no offset');
    equal((await far(socket, 'rooms')).sort(), [id, room, secret].sort(), 'rooms');
    const [one] = await far(sender, 'fetch', { rooms: [id] });
    equal(one.data, { kept: [1, 2] }, 'data');
    equal(mail.got.length, before + 5, 'events in all');
  }
});

/** Who comes without having missed anything, twice in a row. */
export const nothingMissed = (user) => behindProxy(user, async (p, options) => {
  const witness = await user.open('/custom');
  const socket = await user.open('/custom', options);
  await ask(socket, 'message-with-ack', 1);
  const { id } = socket;
  for (let i = 0; i < 2; i++) {
    await p.interrupt(socket, () => gone(witness, id));
    equal([socket.recovered, socket.id], [true, id], 'recovered and id');
    equal((await ask(socket, 'message-with-ack', 'x'))[0], 'x', 'an answer');
  }
});

/** Both namespaces of a connection, each by itself. */
export const namespaces = (user) => behindProxy(user, async (p, options) => {
  const socket = await user.open('/', options);
  const custom = user.beside(socket, '/custom');
  await user.ready(custom);
  await ask(custom, 'message-with-ack', 1);
  const ids = [socket.id, custom.id];
  const witness = await user.open('/');
  const connected = next(custom, 'connect');
  await p.interrupt(socket, () => gone(witness, ids[0]));
  await connected;
  equal([socket.id, custom.id, socket.recovered, custom.recovered], [...ids, true, true], 'ids and recovered');
});

/** disconnect() of either side is not to be recovered. */
export const notAfterDisconnect = (user) => behindProxy(user, async (p, options) => {
  const stayer = await user.open('/');
  const socket = await user.open('/', options);
  await ask(socket, 'message-with-ack', 1);
  for (const leave of [
    () => socket.disconnect(),
    () => far(stayer, 'socketsDisconnect', { rooms: [socket.id] }),
  ]) {
    const { id } = socket;
    const left = next(socket, 'disconnect');
    await leave();
    await left;
    socket.connect();
    await next(socket, 'connect');
    check(!socket.recovered && socket.id !== id, 'it was recovered');
  }
});

/** Behind the time limit it is a new session; of a server with a short one only. */
export const expired = (user) => behindProxy(user, async (p, options) => {
  const room = unique('room');
  const stayer = await user.open('/');
  const socket = await user.open('/', options);
  await far(socket, 'join', room);
  const { id } = socket;
  await p.interrupt(socket, async () => {
    await gone(stayer, room);
    await pause(1000);
  });
  check(!socket.recovered && socket.id !== id, 'it was recovered');
  check(!(await far(socket, 'rooms')).includes(room), 'it is still in its room');
});

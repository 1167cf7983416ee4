// Connection state recovery: a client whose connection breaks at one server and
// that comes back to another is the same socket, and misses nothing.
import { createClient } from 'redis';
import { bytes, check, equal, eventually, unique } from '../../../socketio/js/compare.mjs';
import { far, inbox, next } from '../../../socketio/js/user.mjs';

const offset = /^\d+-\d+$/;

/** The offset is the last argument of what a client gets, as a number that orders; without it there are the arguments. */
function split(got) {
  return got.map((args) => {
    check(offset.test(args.at(-1)), `no offset: ${JSON.stringify(args)}`);
    const [ms, seq] = args.at(-1).split('-').map(BigInt);
    return { args: args.slice(0, -1), at: (ms << 32n) + seq };
  });
}

/** Checks that got are the wanted lists of arguments, each once, whatever their order, with offsets that grow. */
function exactly(got, want, what) {
  const all = split(got);
  for (let i = 1; i < all.length; i++) check(all[i].at > all[i - 1].at, `${what}: offset ${i} does not grow`);
  const inOrder = (list) => [...list].sort((a, b) => String(a[0]).localeCompare(String(b[0])));
  equal(inOrder(all.map((e) => e.args)), inOrder(want), what);
}

/** Client is a socket that moves between servers. */
class Client {
  static async open(flow) {
    const client = new Client();
    client.cluster = flow.cluster;
    client.redis = await createClient({ url: flow.cluster.redis }).connect();
    client.socket = await flow.cluster.open(flow.from, flow.nsp, { auth: { who: 'traveller' } });
    return client;
  }

  /** Breaks the connection as a network does, and waits until the server has stored the session. */
  async lose() {
    const gone = next(this.socket, 'disconnect');
    this.socket.io.engine.transport.ws._socket.destroy();
    await gone;
    const key = `sio:session:${this.socket._pid}`;
    await eventually(async () => await this.redis.exists(key) === 1, `the key ${key}`);
  }

  /** Connects to a server by name. */
  async appear(name) {
    this.socket.io.uri = this.cluster.server(name).url;
    const back = next(this.socket, 'connect');
    this.socket.connect();
    await back;
  }

  close() { return this.redis.close(); }
}

async function travel(f, use) {
  const client = await Client.open(f);
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

/** Missed events come once with their offsets, id, rooms and data stay, and so again after a second break. */
export const recovery = (f) => travel(f, async (client) => {
  const { socket } = client;
  const got = inbox(socket, unique('event'));
  const other = unique('other');
  const send = (at, to, ...args) => far(f.sockets[at], 'broadcast', { ...to, event: got.event, args });
  const room = unique('room');
  await far(socket, 'join', room);
  await far(socket, 'data', { name: 'x', n: [1, null] });
  await send('near', { rooms: [room] }, 'first');
  await got.wait(1);
  const { id } = socket;

  await client.lose();
  await Promise.all([
    send('near', { rooms: [room] }, 'here', { a: [1] }),
    send('a', { rooms: [room, other] }, 'there', bytes(40)),
    send('near', {}, 'to all'),
    send('a', { rooms: [id] }, 'to the socket'),
    send('near', { rooms: [room], except: [room] }, 'not: the room is excluded'),
    send('a', { rooms: [other] }, 'not: another room'),
    send('near', { except: [id] }, 'not: the socket is excluded'),
  ]);
  const missed = [['here', { a: [1] }], ['there', bytes(40)], ['to all'], ['to the socket']];
  await f.settled();
  await client.appear(f.to);
  check(socket.recovered, 'not recovered');
  equal(socket.id, id, 'id');
  await got.wait(1 + missed.length);

  await send('near', { rooms: [room] }, 'after, from where it was');
  await got.wait(1 + missed.length + 1);
  await send('a', { rooms: [room] }, 'after, from where it is');
  await got.wait(1 + missed.length + 2);
  const want = [['first'], ...missed, ['after, from where it was'], ['after, from where it is']];
  await f.settled();
  exactly(got.got, want, 'events');
  equal((await far(socket, 'rooms')).sort(), [id, room].sort(), 'rooms');
  const [found] = await far(f.near, 'fetch', { rooms: [id] });
  equal(found.data, { name: 'x', n: [1, null] }, 'data');

  await client.lose();
  await send('near', { rooms: [room] }, 'while away again');
  await f.settled();
  await client.appear(f.from);
  check(socket.recovered, 'not recovered the second time');
  await send('a', { rooms: [room] }, 'at last');
  await got.wait(want.length + 2);
  await f.settled();
  exactly(got.got, [...want, ['while away again'], ['at last']], 'all events');
});

/** A restored packet carries its offset: who breaks again before anything new has missed nothing. */
export const recoveryTwice = (f) => travel(f, async (client) => {
  const { socket } = client;
  const { id } = socket;
  const got = inbox(socket, unique('event'));
  const send = (n) => far(f.near, 'broadcast', { rooms: [id], event: got.event, args: [n] });
  await send(0);
  await got.wait(1);
  await client.lose();
  for (const n of [1, 2, 3]) await send(n);
  await f.settled();
  for (const name of [f.to, f.from, f.to]) {
    await client.appear(name);
    check(socket.recovered, `not recovered at ${name}`);
    await got.wait(4);
    await client.lose();
  }
  await client.appear(f.to);
  await send(4);
  await got.wait(5);
  await f.settled();
  equal(split(got.got).map((e) => e.args[0]), [0, 1, 2, 3, 4], 'events');
});

/** A session is taken once, and an unknown one is refused: the client gets a new one. */
export const recoveryRefused = (f) => travel(f, async (client) => {
  const { socket } = client;
  const got = inbox(socket, unique('event'));
  await far(f.near, 'broadcast', { rooms: [socket.id], event: got.event, args: [0] });
  await got.wait(1);
  const { id } = socket;
  await client.lose();
  await client.redis.del(`sio:session:${socket._pid}`);
  await client.appear(f.to);
  check(!socket.recovered && socket.id !== id, 'recovered what is gone');
  equal((await far(socket, 'rooms')), [socket.id], 'rooms');
});

// Every call of the adapters' API, as checks of a Flow: what the caller asks of
// the server from is to happen at the server to.
import { bytes, check, equal, eventually, unique } from '../../../socketio/js/compare.mjs';
import { far, inbox, next } from '../../../socketio/js/user.mjs';
import { alive } from '../cluster.mjs';

/** What JSON can say, and what languages disagree about. */
const values = [
  null, true, false, 0, -1, 1.5, 1.5e-7, 2 ** 53 - 1, -(2 ** 31), 0.1, '', 'ü€😀\u2028</script>"\\\u0000',
  [], {}, [[]], [null], { '': '', a: { b: [{ c: null }] }, __proto: 1 }, 'x'.repeat(300),
];
const nested = () => ({ list: [bytes(3), { deep: bytes(0) }], at: { the: bytes(70_000, 5) }, plain: 'x' });
const sorted = (list) => [...list].sort();

// Broadcasts.

export const emit = (f) => f.broadcast('caller near a b c', {});
export const emitToRoom = async (f) => {
  await f.broadcast('a near', { rooms: [await f.room('a', 'near')] });
};
export const emitToRooms = async (f) => {
  await f.broadcast('a b near', { rooms: [await f.room('a', 'b'), await f.room('b', 'near')] });
};
export const emitToSocket = (f) => f.broadcast('b', { rooms: [f.b.id] });
export const emitToEmptyRoom = (f) => f.broadcast('', { rooms: [unique('nobody')] });
export const except = async (f) => {
  await f.broadcast('caller b c', { except: [await f.room('a', 'near')] });
};
export const exceptRooms = async (f) => {
  await f.broadcast('caller near c', { except: [await f.room('a'), await f.room('b'), f.b.id] });
};
export const roomExcept = async (f) => {
  await f.broadcast('a near', { rooms: [await f.room('a', 'b', 'near')], except: [await f.room('b', 'c')] });
};
export const socketBroadcast = (f) => f.toOthers('near a b c', {});
export const socketTo = async (f) => {
  await f.toOthers('near a', { rooms: [await f.room('caller', 'near', 'a')] });
};
export const socketToExcept = async (f) => {
  const [some, others] = [await f.room('caller', 'a', 'b'), await f.room('near', 'b')];
  await f.toOthers('a', { rooms: [some, others], except: [f.near.id, others] });
};
export const socketLocal = (f) => f.toOthers('near', { local: true });
export const local = (f) => f.broadcast('caller near', { local: true });
export const binary = (f) => f.broadcast('caller near a b c', {}, [bytes(5)]);
export const nestedBinary = async (f) => {
  await f.broadcast('a', { rooms: [await f.room('a')] }, [nested(), 'between', bytes(1)]);
};
export const kindsOfValues = (f) => f.broadcast('caller near a b c', {}, values);
export const noValues = (f) => f.broadcast('caller near a b c', {}, []);
export const large = async (f) => {
  await f.broadcast('a', { rooms: [await f.room('a')] }, ['é'.repeat(150_000), bytes(300_000)]);
};
export const compress = (f) => f.broadcast('caller near a b c', { compress: false });
export const roomNames = async (f) => {
  for (const name of ['a#b', 'ü 😀', '*', '[x]?', '42', '{tag}', 'with/slash']) {
    await f.broadcast('b', { rooms: [await f.roomNamed(name + unique('#'), 'b')] });
  }
};

/** A volatile event may be lost when the line is busy, but not every time, and it never comes twice. */
export const volatile = async (f) => {
  const room = await f.room('a');
  const got = inbox(f.a, unique('volatile'));
  let sent = 0;
  await eventually(async () => {
    await f.far('broadcast', { rooms: [room], volatile: true, event: got.event, args: [sent++] });
    await f.fence();
    return got.got.length > 0;
  }, 'a volatile event');
  equal(got.got.length, new Set(got.got.map(String)).size, 'different events');
};

/** What one server sends arrives in its order. */
export const order = async (f) => {
  const room = await f.room('a');
  const got = inbox(f.a, unique('order'));
  const n = 200;
  const sent = Array.from({ length: n }, (_, i) => f.far('broadcast', { rooms: [room], event: got.event, args: [i] }));
  await Promise.all(sent);
  equal((await got.wait(n)).flat(), Array.from({ length: n }, (_, i) => i), 'the order');
};

// Broadcasts with acknowledgement.

export const ack = async (f) => {
  const room = await f.room('a', 'b', 'near');
  const { error, responses } = await f.broadcastAck({ a: ['a'], b: ['b', 'not this'], near: ['near'] }, { rooms: [room] });
  equal([error, sorted(responses)], [null, ['a', 'b', 'near']], 'outcome');
};
export const ackValues = async (f) => {
  const answer = { list: values };
  const { error, responses } = await f.broadcastAck({ a: [answer] }, { rooms: [f.a.id] });
  equal([error, responses], [null, [answer]], 'outcome');
};
export const ackBinary = async (f) => {
  const room = await f.room('a', 'b');
  const { error, responses } = await f.broadcastAck({ a: [nested()], b: [nested()] }, { rooms: [room] });
  equal([error, responses], [null, [nested(), nested()]], 'outcome');
};
export const ackTimeout = async (f) => {
  const room = await f.room('a', 'b', 'near');
  const outcome = await f.broadcastAck({ a: ['a'], b: null, near: ['near'] }, { rooms: [room], timeout: 5000 });
  equal([outcome.error, sorted(outcome.responses)], ['operation has timed out', ['a', 'near']], 'outcome');
};
export const ackOfNobody = async (f) => {
  const outcome = await f.broadcastAck({}, { rooms: [unique('nobody')], timeout: 9000 });
  equal(outcome, { error: null, responses: [] }, 'outcome');
};
export const ackExcept = async (f) => {
  const room = await f.room('a', 'b', 'c');
  const outcome = await f.broadcastAck({ a: ['a'], c: ['c'] }, { rooms: [room], except: [f.b.id] });
  equal([outcome.error, sorted(outcome.responses)], [null, ['a', 'c']], 'outcome');
};

// Sockets of other nodes.

export const fetchSockets = async (f) => {
  const data = { name: 'a', n: [1, 2.5, null], ü: {} };
  await far(f.a, 'data', data);
  const room = await f.room('a', 'near');
  const found = await f.far('fetch', { rooms: [room] });
  equal(sorted(found.map((s) => s.id)), sorted([f.a.id, f.near.id]), 'ids');
  const a = found.find((s) => s.id === f.a.id);
  const lasting = (rooms) => sorted(rooms.filter((name) => !name.startsWith('everybody'))); // see allSocketsJoin
  equal(lasting(a.rooms), lasting(await f.rooms('a')), 'rooms');
  equal(a.data, data, 'data');
  const { auth, query, headers, address, url, secure, xdomain, issued, time } = a.handshake;
  equal(auth, { who: 'a' }, 'auth');
  equal([query.EIO, query.transport], ['4', 'websocket'], 'query');
  check(headers.host.startsWith('127.0.0.1:') && headers.upgrade === 'websocket', `headers ${JSON.stringify(headers)}`);
  check(/127\.0\.0\.1$/.test(address) && url.startsWith('/socket.io/?'), `${address}, ${url}`);
  equal([secure, xdomain, typeof issued], [false, false, 'number'], 'secure, xdomain, issued');
  check(Math.abs(Date.now() - issued) < 3_600_000 && !Number.isNaN(Date.parse(time)), `${issued}, ${time}`);
};
export const fetchAll = async (f) => {
  const found = (await f.far('fetch', {})).map((s) => s.id);
  for (const [name, socket] of Object.entries(f.sockets)) {
    equal(found.filter((id) => id === socket.id).length, 1, `${name} is found`);
  }
};
export const fetchExcept = async (f) => {
  const [room, some] = [await f.room('a', 'b', 'c'), await f.room('c', 'near')];
  const found = await f.far('fetch', { rooms: [room], except: [some, f.b.id] });
  equal(found.map((s) => s.id), [f.a.id], 'ids');
};
export const fetchNobody = async (f) => {
  equal(await f.far('fetch', { rooms: [unique('nobody')] }), [], 'sockets');
};
export const fetchLocal = async (f) => {
  const found = await f.far('fetch', { rooms: [await f.room('a', 'near')], local: true });
  equal(found.map((s) => s.id), [f.near.id], 'ids');
};

export const socketsJoin = async (f) => {
  const [room, one, two] = [await f.room('a', 'b', 'near'), unique('to'), unique('to')];
  await f.far('socketsJoin', { rooms: [room], except: [f.b.id], to: [one, two] });
  await f.members(one, 'a near');
  await f.members(two, 'a near');
  await f.reachable(one, 'a', 'near');
  await f.broadcast('a near', { rooms: [one] });
};
export const allSocketsJoin = async (f) => {
  const room = unique('everybody');
  await f.far('socketsJoin', { to: [room] });
  await f.members(room, 'near a b c');
  await f.far('socketsLeave', { to: [room] });
  await f.members(room, '');
};
export const socketsLeave = async (f) => {
  const [some, room] = [await f.room('a', 'near'), await f.room('a', 'b', 'near')];
  await f.far('socketsLeave', { rooms: [some], to: [room, unique('no member')] });
  await f.members(room, 'b');
  await f.broadcast('b', { rooms: [room] });
};

/** Who is told to join has joined when the next broadcast comes. */
export const joinThenEmit = async (f) => {
  const room = unique('at once');
  await f.hears('a b', [1], (event) => Promise.all([
    f.far('socketsJoin', { rooms: [f.a.id, f.b.id], to: [room] }),
    f.far('broadcast', { rooms: [room], event, args: [1] }),
  ]));
};

export const disconnectSockets = async (f) => {
  const { gone, beside, disconnected } = await f.pair();
  await f.far('socketsDisconnect', { rooms: [gone.id], close: false });
  equal((await disconnected)[0], 'io server disconnect', 'reason');
  await alive(beside);
  await alive(f.a);
};
export const disconnectAndClose = async (f) => {
  const { gone, beside, disconnected } = await f.pair();
  const besides = next(beside, 'disconnect');
  await f.far('socketsDisconnect', { rooms: [gone.id], close: true });
  await disconnected;
  await besides;
  await alive(f.a);
};

// Single sockets of other nodes.

export const remoteEmit = (f) => f.hears('a', [1, bytes(2)], async (event) => {
  equal(await f.far('remote', { rooms: [f.a.id], do: 'emit', event, args: [1, bytes(2)] }), 1, 'sockets');
});
export const remoteJoin = async (f) => {
  const room = unique('far');
  await f.far('remote', { rooms: [f.a.id], do: 'join', to: [room] });
  await f.members(room, 'a');
};
export const remoteLeave = async (f) => {
  const room = await f.room('a', 'b');
  await f.far('remote', { rooms: [f.b.id], do: 'leave', to: [room] });
  await f.members(room, 'a');
};
export const remoteDisconnect = async (f) => {
  const { gone, beside, disconnected } = await f.pair();
  await f.far('remote', { rooms: [gone.id], do: 'disconnect', close: false });
  equal((await disconnected)[0], 'io server disconnect', 'reason');
  await alive(beside);
};

// Events for servers.

/** Emits an event to the other servers, and checks that they get it once. */
async function emitToServers(f, event, ...args) {
  const value = unique('sse');
  await f.far('sse', { event, args: [value, ...args] });
  const log = (socket) => far(socket, 'sseLog', value);
  await eventually(async () => (await log(f.a)).length > 0, 'the event at the other server');
  equal(await log(f.a), [[event, value, ...args]], 'the event');
  if (f.from !== f.to) equal(await log(f.near), [], 'what the sender hears');
}
export const serverSideEmit = (f) => emitToServers(f, 'sse-one', ...values);
export const serverSideBinary = (f) => emitToServers(f, 'sse-two', nested());
export const serverSideAck = async (f) => {
  const want = { error: null, responses: f.cluster.servers.slice(1).map(() => 'from-x') };
  equal(await f.far('sseAck', { event: 'sse-ask', args: [1, { a: [] }] }), want, 'outcome');
};

export const allRooms = async (f) => {
  const room = await f.room('a');
  const rooms = await f.far('allRooms');
  for (const name of [room, f.a.id, f.near.id]) equal(rooms.filter((r) => r === name).length, 1, name);
};

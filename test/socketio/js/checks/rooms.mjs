// Rooms, broadcasts and what a server can do to its sockets: the far events.
import { bytes, check, equal, eventually, plain, unique } from '../compare.mjs';
import { ask, far, inbox } from '../user.mjs';

/** Opens sockets by name, each with an inbox of the same event. */
async function crowd(user, names, nsp = '/') {
  const event = unique('event');
  const all = await user.many(names.length, nsp);
  const members = {};
  names.forEach((name, i) => { members[name] = { socket: all[i], mail: inbox(all[i], event) }; });
  return { event, ...members };
}

/** Every answer comes behind what was sent before it. */
const flushed = (...members) => Promise.all(members.map(({ socket }) => ask(socket, 'message-with-ack', 1)));

/** Once their answers are there, all broadcasts that went before have come too. */
async function received(members) {
  await flushed(...members);
  return members.map(({ mail }) => mail.got.length);
}

export async function joinAndLeave(user) {
  const socket = await user.open('/');
  const rooms = async () => (await far(socket, 'rooms')).filter((room) => room !== socket.id).sort();
  equal(await rooms(), [], 'rooms at first');
  equal(await far(socket, 'join', 'a'), null, 'answer of join');
  await far(socket, 'join', 'b');
  await far(socket, 'join', 'b');
  await far(socket, 'join', 'r\u00f6\u00f6m \u{1f600} #,[]*');
  equal(await rooms(), ['a', 'b', 'r\u00f6\u00f6m \u{1f600} #,[]*'], 'rooms');
  equal(await far(socket, 'leave', 'b'), null, 'answer of leave');
  await far(socket, 'leave', 'never joined');
  equal(await rooms(), ['a', 'r\u00f6\u00f6m \u{1f600} #,[]*'], 'rooms after leaving');
  check((await far(socket, 'rooms')).includes(socket.id), 'the room of its own id is missing');
}

export async function broadcasts(user) {
  for (const nsp of ['/', '/custom']) {
    const { event, a, b, both, none } = await crowd(user, ['a', 'b', 'both', 'none'], nsp);
    const [one, two] = [unique('one'), unique('two')];
    await far(a.socket, 'join', one);
    await far(b.socket, 'join', two);
    await far(both.socket, 'join', one);
    await far(both.socket, 'join', two);
    const cases = [
      [{ rooms: [one] }, [1, 0, 1, 0]],
      [{ rooms: [one, two] }, [1, 1, 1, 0]],
      [{ rooms: [one], except: [two] }, [1, 0, 0, 0]],
      [{ except: [two] }, [1, 0, 0, 1]],
      [{ except: [one, two] }, [0, 0, 0, 1]],
      [{}, [1, 1, 1, 1]],
      [{ local: true }, [1, 1, 1, 1]],
      [{ rooms: [none.socket.id] }, [0, 0, 0, 1]],
      [{ rooms: [unique('nobody')] }, [0, 0, 0, 0]],
      [{ rooms: [one], except: [a.socket.id] }, [0, 0, 1, 0]],
    ];
    const members = [a, b, both, none];
    let want = [0, 0, 0, 0];
    for (const [to, hits] of cases) {
      equal(await far(a.socket, 'broadcast', { ...to, event, args: ['text', { n: 1 }, bytes(9)] }), null, 'answer of broadcast');
      want = want.map((n, i) => n + hits[i]);
      equal(await received(members), want, `events after a broadcast to ${JSON.stringify(to)}`);
    }
    equal(a.mail.got[0], ['text', { n: 1 }, bytes(9)], 'arguments');
    await far(a.socket, 'broadcast', { rooms: [none.socket.id], event });
    await flushed(none);
    equal(none.mail.got.at(-1), [], 'no arguments');
  }
}

export async function toOthers(user) {
  const { event, a, b, c } = await crowd(user, ['a', 'b', 'c']);
  const room = unique('room');
  for (const { socket } of [a, b]) await far(socket, 'join', room);
  await far(a.socket, 'toOthers', { rooms: [room], event, args: [1] });
  equal(await received([a, b, c]), [0, 1, 0], 'events of the others in a room');
  await far(a.socket, 'toOthers', { event, args: [2] });
  equal(await received([a, b, c]), [0, 2, 1], 'events of all others');
  await far(c.socket, 'toOthers', { rooms: [room], event, args: [3] });
  equal(await received([a, b, c]), [1, 3, 1], 'events from outside the room');
}

/** A join is in force as soon as it is acknowledged, and broadcasts keep their order. */
export async function orderOfBroadcasts(user) {
  const { event, a, b, c } = await crowd(user, ['a', 'b', 'c']);
  const room = unique('room');
  for (const { socket } of [a, b, c]) await far(socket, 'join', room);
  for (let i = 0; i < 100; i++) {
    a.socket.emit('far:broadcast', { rooms: [room], event, args: i % 5 ? [i] : [i, bytes(i)] });
  }
  for (const { mail } of [a, b, c]) {
    const got = await mail.wait(100);
    got.forEach((args, i) => equal(args, i % 5 ? [i] : [i, bytes(i)], `broadcast ${i}`));
  }
}

export async function fetch(user) {
  const room = unique('room');
  const socket = await user.open('/', user.version > 2 ? { auth: { me: 1 }, query: { q: 'a b' } } : { query: { q: 'a b' } });
  const other = await user.open('/');
  equal(await far(socket, 'fetch', { rooms: [room] }), [], 'an empty room');
  for (const s of [socket, other]) await far(s, 'join', room);
  let [one] = await far(socket, 'fetch', { rooms: [socket.id] });
  equal(one.data, {}, 'data at first');
  equal(await far(socket, 'data', { user: 'u', list: [1, { a: null }] }), null, 'answer of data');
  const all = await far(other, 'fetch', { rooms: [room] });
  equal(all.map(({ id }) => id).sort(), [socket.id, other.id].sort(), 'ids');
  one = all.find(({ id }) => id === socket.id);
  equal(one.rooms.sort(), [room, socket.id].sort(), 'rooms');
  equal(one.data, { user: 'u', list: [1, { a: null }] }, 'data');
  const { headers, time, address, xdomain, secure, issued, url, query, auth } = one.handshake;
  equal(auth, user.version > 2 ? { me: 1 } : {}, 'auth');
  equal([query.q, query.transport], ['a b', user.transport === 'websocket' ? 'websocket' : 'polling'], 'query');
  equal(query.EIO, user.version > 2 ? '4' : '3', 'EIO');
  equal([secure, xdomain, typeof headers.host, address.includes('127.0.0.1')], [false, user.origin !== undefined, 'string', true], 'handshake');
  check(url.includes('/?') && url.includes('EIO='), `url is ${url}`);
  check(Math.abs(Date.parse(time) - Date.now()) < 120_000 && Math.abs(issued - Date.now()) < 120_000, `time is ${time}, issued ${issued}`);
  equal((await far(socket, 'fetch', { rooms: [room], except: [other.id] })).map(({ id }) => id), [socket.id], 'ids but one');
  equal((await far(socket, 'fetch', { rooms: [room], local: true })).length, 2, 'local sockets');
  const everybody = await far(socket, 'fetch', {});
  check([socket, other].every(({ id }) => everybody.some((s) => s.id === id)), 'fetch of all lacks some');
}

export async function joinAndLeaveAll(user) {
  const { event, a, b, c } = await crowd(user, ['a', 'b', 'c']);
  const [from, to, more] = [unique('from'), unique('to'), unique('more')];
  for (const { socket } of [a, b]) await far(socket, 'join', from);
  equal(await far(c.socket, 'socketsJoin', { rooms: [from], to: [to, more] }), null, 'answer of socketsJoin');
  equal((await far(b.socket, 'rooms')).sort(), [b.socket.id, from, more, to].sort(), 'rooms');
  await far(c.socket, 'broadcast', { rooms: [to], event });
  equal(await received([a, b, c]), [1, 1, 0], 'events after joining');
  await far(c.socket, 'socketsLeave', { rooms: [from], except: [a.socket.id], to: [to] });
  await far(c.socket, 'broadcast', { rooms: [to], event });
  equal(await received([a, b, c]), [2, 1, 0], 'events after leaving');
  await far(c.socket, 'socketsJoin', { rooms: [c.socket.id], to });
  equal((await far(c.socket, 'rooms')).sort(), [c.socket.id, to].sort(), 'rooms after joining one');
}

export async function disconnectSome(user) {
  const { a, b, c } = await crowd(user, ['a', 'b', 'c']);
  const room = unique('room');
  for (const { socket } of [a, b, c]) await far(socket, 'join', room);
  equal(await far(c.socket, 'socketsDisconnect', { rooms: [room], except: [c.socket.id], close: true }), null, 'answer');
  await eventually(() => a.socket.disconnected && b.socket.disconnected, 'both disconnect');
  check(c.socket.connected, 'the exception is disconnected');
  await eventually(async () => (await far(c.socket, 'fetch', { rooms: [room] })).length === 1, 'both leave');
}

export async function broadcastAck(user) {
  const { event, a, b, c } = await crowd(user, ['a', 'b', 'c']);
  const room = unique('room');
  for (const { socket } of [a, b, c]) await far(socket, 'join', room);
  const answers = { a: { from: 'a' }, b: bytes(4), c: ['c', { deep: bytes(2) }] };
  for (const [name, { socket }] of Object.entries({ a, b, c })) {
    socket.on(event, (...args) => { args.pop()(answers[name], 'a second argument is not reported'); });
  }
  const asked = await far(a.socket, 'broadcastAck', { rooms: [room], event, args: ['who', bytes(3)] });
  equal(asked.error, null, 'error');
  const texts = (list) => list.map((r) => JSON.stringify(plain(r))).sort();
  equal(texts(asked.responses), texts(Object.values(answers)), 'responses');
  equal(a.mail.got[0].slice(0, 2), ['who', bytes(3)], 'arguments');
  const few = await far(a.socket, 'broadcastAck', { rooms: [room], except: [b.socket.id, c.socket.id], event });
  equal(few, { error: null, responses: [answers.a] }, 'the answer of one');
  const none = await far(a.socket, 'broadcastAck', { rooms: [unique('nobody')], event });
  equal(none, { error: null, responses: [] }, 'the answer of nobody');
}

/** Who does not answer costs the timeout; the others' answers count. */
export async function broadcastAckTimesOut(user) {
  const { event, a, b } = await crowd(user, ['a', 'b']);
  const room = unique('room');
  for (const { socket } of [a, b]) await far(socket, 'join', room);
  a.socket.on(event, (answer) => { answer('here'); });
  const { error, responses } = await far(a.socket, 'broadcastAck', { rooms: [room], event, timeout: 100 });
  equal([error, responses], ['operation has timed out', ['here']], 'result');
}

/** A single node has nobody to send server-side events to. */
export async function serverSide(user) {
  const socket = await user.open('/custom');
  equal(await far(socket, 'sse', { event: 'sse-one', args: [1, { a: 2 }] }), null, 'answer of sse');
  equal(await far(socket, 'sseLog'), [], 'log');
  equal(await far(socket, 'sseAck', { event: 'sse-ask', args: [1] }), { error: null, responses: [] }, 'answer of sseAck');
}

/** What the server cannot do it says. */
export async function failures(user) {
  const socket = await user.open('/');
  for (const event of ['connect', 'disconnect', 'connect_error', 'disconnecting', 'newListener', 'removeListener']) {
    const [answer] = await ask(socket, 'far:broadcast', { event, args: [] });
    check(typeof answer?.farError === 'string', `broadcast of ${event}: ${JSON.stringify(answer)}`);
  }
  const [answer] = await ask(socket, 'far:sse', { event: 'connection', args: [] });
  check(typeof answer?.farError === 'string', `server-side event of a reserved name: ${JSON.stringify(answer)}`);
  equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer behind failures');
}

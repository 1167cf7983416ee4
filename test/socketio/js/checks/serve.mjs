// The app of `wsd serve`, with tokens, rooms that clients may join, and a relay:
//   --sio-allow-join 'room/*' --sio-relay 'say=room/*' --token-query token --client-dir ...
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { bytes, check, equal, unique } from '../compare.mjs';
import { ask, inbox, next, settled } from '../user.mjs';

const base64 = (text) => Buffer.from(text).toString('base64url');

/** A token as anybody makes it who has the secret. */
function sign(secret, claims) {
  const body = `${base64('{"alg":"HS256","typ":"JWT"}')}.${base64(JSON.stringify(claims))}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

/** Clients of Socket.IO 2 have no auth: their token is in the query. */
const bearing = (user, token) => (user.version > 2 ? { auth: { token } } : { query: { token } });
const enter = (user, claims) => user.open('/', bearing(user, sign(user.secret, claims)));

export async function tokens(user) {
  const cases = {
    'no token': {},
    'a bad token': bearing(user, 'nonsense'),
    'a forged token': bearing(user, sign('another secret of thirty-two bytes', { sub: 'ann' })),
    'a token without sub': bearing(user, sign(user.secret, {})),
  };
  for (const [name, options] of Object.entries(cases)) {
    const error = await settled(user.dial('/', options));
    equal(error?.data?.code, 'unauthorized', `code for ${name}`);
  }
  const late = await settled(user.dial('/', bearing(user, sign(user.secret, { sub: 'ann', exp: 1_000_000 }))));
  equal(late?.data?.code, 'expired', 'code for an expired token');
  check((await enter(user, { sub: 'ann' })).connected, 'a good token is refused');
}

export async function rooms(user) {
  const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map((sub) => enter(user, { sub })));
  const room = `room/${unique('r')}`;
  const [heard, missed] = [inbox(bob, 'say'), [inbox(ann, 'say'), inbox(eve, 'say')]];
  for (const s of [ann, bob]) equal(await ask(s, 'join', room), [{ ok: true }], 'answer of join');
  const [forbidden] = await ask(eve, 'join', 'elsewhere');
  equal(forbidden.error?.code, 'forbidden', 'code for a room that is not allowed');
  equal(await ask(ann, 'say', room, 'hello', { deep: bytes(20) }), [{ ok: true }], 'answer of the relay');
  equal(await heard.wait(1), [[room, 'hello', { deep: bytes(20) }]], 'what the other hears');
  const [denied] = await ask(eve, 'say', room, 'from outside');
  equal(denied.error?.code, 'forbidden', 'code for a sender who is no member');
  equal(await ask(bob, 'leave', room), [{ ok: true }], 'answer of leave');
  await ask(ann, 'say', room, 'to nobody');
  await ask(bob, 'join', room); // behind what could still come
  equal([heard.got.length, ...missed.map(({ got }) => got.length)], [1, 0, 0], 'events in all');
}

/** Every socket of a user is in the user's room, and in those of its token. */
export async function givenRooms(user) {
  const sub = unique('user');
  const room = unique('team');
  const [one, two] = [await enter(user, { sub, rooms: [room] }), await enter(user, { sub })];
  const sender = await enter(user, { sub: 'sender', allow: { publish: ['user:*', `${room}`] } });
  const [a, b] = [inbox(one, 'say'), inbox(two, 'say')];
  equal(await ask(sender, 'say', `user:${sub}`, 1), [{ ok: true }], 'answer of the relay');
  equal(await ask(sender, 'say', room, 2), [{ ok: true }], 'answer of the relay');
  equal(await a.wait(2), [[`user:${sub}`, 1], [room, 2]], 'events of the one');
  equal(await b.wait(1), [[`user:${sub}`, 1]], 'events of the other');
}

/** A token that expires ends the connection, and says so first. */
export async function expires(user) {
  const socket = await enter(user, { sub: 'ann', exp: Math.floor(Date.now() / 1000) + 2 });
  const [told, ended] = [next(socket, 'expired'), next(socket, 'disconnect')];
  await told;
  equal((await ended)[0], 'io server disconnect', 'reason');
}

/** The client's script comes from where pages expect it. */
export async function clientScript(user) {
  if (user.version !== 4 || user.transport !== 'websocket') return; // once is enough
  const answer = await fetch(`${user.url}/socket.io/socket.io.min.js`);
  equal([answer.status, answer.headers.get('content-type')?.split(';')[0]], [200, 'application/javascript'], 'status and type');
  const file = new URL('../../node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url);
  equal(await answer.text(), await readFile(file, 'utf8'), 'script');
}

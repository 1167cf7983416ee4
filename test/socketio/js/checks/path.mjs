// A server with --path /some/where/ and --connect-timeout 3s.
import { Socket } from 'engine.io-client';
import { check, equal, pause, within } from '../compare.mjs';
import { ask, next, patience, settled } from '../user.mjs';

const path = '/some/where/';

export async function served(user) {
  for (const given of [path, '/some/where']) {
    const socket = await user.open('/custom', { path: given });
    equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer');
  }
}

export async function elsewhere(user) {
  const error = await settled(user.dial('/', { path: '/socket.io/' }));
  check(error instanceof Error, 'no error');
  if (user.version === 4 && user.transport !== 'websocket') equal(error.description, 404, 'status');
}

const raw = (user) => new Socket(user.url, { path, transports: user.transport === 'websocket' ? ['websocket'] : ['polling'] });

/** A session that joins no namespace is closed; a refusal does not count as joining. */
export async function noConnect(user) {
  if (user.version !== 4) return;
  for (const packet of [undefined, '0/nope,']) {
    const session = raw(user);
    const closed = new Promise((resolve) => { session.on('close', resolve); });
    const got = [];
    session.on('message', (text) => { got.push(text); });
    if (packet) session.send(packet);
    equal(await within(closed, patience, 'close'), 'transport close', 'reason');
    equal(got, packet ? ['4/nope,{"message":"Invalid namespace"}'] : [], 'packets');
  }
}

/** One that joined in time is not. */
export async function connected(user) {
  const socket = await user.open('/', { path });
  await pause(4000);
  equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer');
  const late = user.beside(socket, '/custom');
  await user.ready(late);
  equal(await ask(late, 'message-with-ack', 1), [1], 'an answer of another namespace');
}

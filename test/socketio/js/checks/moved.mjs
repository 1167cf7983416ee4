// Clients that stay while their server is replaced by another, on the same port.
import { bytes, check, equal, unique } from '../compare.mjs';
import { ask, far, inbox, next } from '../user.mjs';

const eager = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };

/** The assertions that hold before the move and after. */
async function assertions(a, b, custom) {
  check([a, b, custom].every((s) => s.connected), 'not connected');
  const back = next(a, 'message-back');
  a.emit('message', 1, '2', { three: [bytes(3)] });
  equal(await back, [1, '2', { three: [bytes(3)] }], 'message-back');
  for (const s of [a, b, custom]) equal(await ask(s, 'message-with-ack', bytes(4), null), [bytes(4), null], 'an acknowledgement');
  const [room, event] = [unique('room'), unique('event')];
  for (const s of [a, b, custom]) await far(s, 'join', room);
  equal((await far(a, 'rooms')).sort(), [a.id, room].sort(), 'rooms');
  const mail = [a, b, custom].map((s) => inbox(s, event));
  await far(a, 'broadcast', { rooms: [room], event, args: ['x', bytes(2)] });
  await far(a, 'toOthers', { rooms: [room], event, args: ['others'] });
  for (const s of [a, b, custom]) await ask(s, 'message-with-ack');
  equal(mail.map(({ got }) => got), [[['x', bytes(2)]], [['x', bytes(2)], ['others']], []], 'broadcasts');
  b.once('question', (n, ack) => { ack(n + 1); });
  equal(await far(a, 'broadcastAck', { rooms: [b.id], event: 'question', args: [1] }), { error: null, responses: [2] }, 'broadcast with ack');
  await far(a, 'data', { moved: false });
  const members = await far(b, 'fetch', { rooms: [room] });
  equal(members.map((m) => m.id).sort(), [a.id, b.id].sort(), 'members');
  equal(members.find((m) => m.id === a.id).data, { moved: false }, 'data');
  await far(a, 'leave', room);
  equal(await far(a, 'rooms'), [a.id], 'rooms in the end');
}

/** order(name) asks the test to do something and waits until it is done. */
export async function moved(user) {
  const [a, b] = [await user.open('/', eager), await user.open('/', eager)];
  const custom = user.beside(a, '/custom');
  await user.ready(custom);
  await assertions(a, b, custom);
  for (let i = 0; i < 2; i++) {
    const left = [a, b, custom].map((s) => next(s, 'disconnect', 20_000));
    const back = [a, b, custom].map((s) => next(s, 'connect', 30_000));
    await user.order('move');
    for (const one of left) {
      const [reason] = await one;
      check(['transport close', 'transport error'].includes(reason), `reason ${reason}`);
    }
    await Promise.all(back);
    await assertions(a, b, custom);
  }
}

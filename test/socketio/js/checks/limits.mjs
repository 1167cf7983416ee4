// Messages around --max-payload, of a server that takes 100,000 bytes.
import { bytes, check, equal } from '../compare.mjs';
import { ask, inbox, next, upgraded } from '../user.mjs';

const maxPayload = 100_000;

/** A message of exactly the limit: 4 2 id ["message-with-ack","xxx"]. */
export async function fits(user) {
  const socket = await user.open('/');
  if (user.transport === 'upgrade') await upgraded(socket);
  let around = '420["message-with-ack",""]'.length;
  if (user.version === 2) around += '100000:'.length; // a payload of revision 3
  if (user.parser === 'msgpack') around = 40_000;
  const size = maxPayload - around;
  equal((await ask(socket, 'message-with-ack', 'x'.repeat(size)))[0].length, size, 'length');
}

/** One too large ends the connection, and no other; the client may come back. */
export async function tooLarge(user) {
  const witness = await user.open('/');
  for (const argument of ['x'.repeat(maxPayload), bytes(maxPayload + 1)]) {
    const socket = await user.open('/');
    if (user.transport === 'upgrade') await upgraded(socket);
    const ended = next(socket, 'disconnect');
    socket.emit('message', argument);
    const [reason] = await ended;
    check(['transport close', 'transport error'].includes(reason), `reason ${reason}`);
    socket.connect();
    await user.ready(socket);
    equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer after the return');
  }
  equal(await ask(witness, 'message-with-ack', 1), [1], 'an answer of the other');
}

/** Many that are too large together only: the client cuts its POSTs by the limit. */
export async function together(user) {
  if (user.version < 4) return;
  const socket = await user.open('/');
  const back = inbox(socket, 'message-back');
  for (let i = 0; i < 50; i++) socket.emit('message', i, 'x'.repeat(10_000));
  (await back.wait(50)).forEach((args, i) => equal(args[0], i, 'number'));
}

/** Attachments count one by one. */
export async function attachments(user) {
  const socket = await user.open('/');
  if (user.transport === 'upgrade') await upgraded(socket);
  if (user.transport === 'polling' || user.parser === 'msgpack') return; // one POST holds them all
  const all = [bytes(60_000), bytes(60_000, 1), bytes(60_000, 2)];
  equal(await ask(socket, 'message-with-ack', ...all), all, 'attachments');
}

// Pings, of a server with --ping-interval 200ms --ping-timeout 4s.
import { check, equal, eventually, unique } from '../compare.mjs';
import { ask, far, next, upgraded } from '../user.mjs';

/** An idle connection outlives heartbeats. */
export async function idle(user) {
  const socket = await user.open('/');
  let beats = 0;
  socket.io.engine.on('packet', ({ type }) => {
    if (type === (user.version > 2 ? 'ping' : 'pong')) beats++;
  });
  const { id } = socket;
  await eventually(() => beats >= 4, 'four heartbeats');
  check(socket.connected && socket.id === id, 'the connection is gone');
  equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer');
}

/** A client that leaves the heartbeats to others is forgotten. */
export async function silentClient(user) {
  const [room, witness] = [unique('room'), await user.open('/')];
  const socket = await user.open('/');
  if (user.transport === 'upgrade') await upgraded(socket);
  await far(socket, 'join', room);
  const { engine } = socket.io;
  const send = engine._sendPacket ? '_sendPacket' : 'sendPacket';
  const original = engine[send];
  engine[send] = function sendSome(type, ...rest) {
    if (type !== (user.version > 2 ? 'pong' : 'ping')) original.call(this, type, ...rest);
  };
  const [reason] = await next(socket, 'disconnect');
  check(['transport close', 'transport error', 'ping timeout'].includes(reason), `reason ${reason}`);
  await eventually(async () => (await far(witness, 'fetch', { rooms: [room] })).length === 0, 'the server forgets it');
}

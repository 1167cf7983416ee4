// engine.io-client at the echo of /engine.io/.
import { Socket } from 'engine.io-client';
import { bytes, check, equal, eventually, within } from '../compare.mjs';
import { patience } from '../user.mjs';

const transports = { websocket: ['websocket'], polling: ['polling'], upgrade: ['polling', 'websocket'] };

async function session(user, run) {
  const socket = new Socket(user.url, { path: '/engine.io/', transports: transports[user.transport] });
  const got = [];
  socket.on('message', (data) => { got.push(data); });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => { socket.on('close', (reason, details) => { resolve([reason, details]); }); });
  try {
    await run(socket, got, closed);
  } finally {
    socket.close();
  }
}

const opened = (socket) => within(new Promise((resolve) => { socket.on('open', resolve); }), patience, 'open');
const all = (got, n) => eventually(() => got.length >= n, `${n} messages`);

export const echo = (user) => session(user, async (socket, got) => {
  await opened(socket);
  const messages = ['a', '2probe', '\u20ac \u{1f600} \u0000', 'b4AAAA', bytes(10), bytes(0), 'x'.repeat(100_000), bytes(100_000)];
  messages.forEach((m) => { socket.send(m); });
  await all(got, messages.length);
  messages.forEach((m, i) => equal(got[i], m, `message ${i}`));
});

export const nothing = (user) => session(user, async (socket, got) => {
  await opened(socket);
  socket.send('');
  await all(got, 1);
  equal(got[0] ?? '', '', 'an empty message');
});

export const order = (user) => session(user, async (socket, got) => {
  for (let i = 0; i < 1000; i++) socket.send(i % 7 ? `${i}` : new Uint8Array([i >> 8, i]));
  await all(got, 1000);
  got.forEach((m, i) => equal(m, i % 7 ? `${i}` : new Uint8Array([i >> 8, i]), `message ${i}`));
});

export const upgrades = (user) => session(user, async (socket) => {
  await opened(socket);
  check(/^[\w-]{20}$/.test(socket.id), `id ${socket.id}`);
  if (user.transport === 'upgrade') await eventually(() => socket.transport.name === 'websocket', 'the upgrade');
  equal(socket.transport.name, user.transport === 'polling' ? 'polling' : 'websocket', 'transport');
});

export const closes = (user) => session(user, async (socket, got, closed) => {
  await opened(socket);
  socket.send('last');
  await all(got, 1);
  socket.close();
  equal((await within(closed, patience, 'close'))[0], 'forced close', 'reason');
});

/** Exactly the limit of a million bytes passes, one byte more does not. */
export const limit = async (user) => {
  await session(user, async (socket, got) => {
    await opened(socket);
    if (user.transport === 'upgrade') await eventually(() => socket.transport.name === 'websocket', 'the upgrade');
    socket.send('x'.repeat(999_999));
    await all(got, 1);
    equal(got[0].length, 999_999, 'length');
  });
  await session(user, async (socket, got, closed) => {
    await opened(socket);
    if (user.transport === 'upgrade') await eventually(() => socket.transport.name === 'websocket', 'the upgrade');
    socket.send('x'.repeat(1_000_000));
    const [reason, details] = await within(closed, patience, 'close');
    if (user.transport === 'polling') equal([reason, details.description], ['transport error', 413], 'reason');
    else equal([reason, details.context.code], ['transport close', 1009], 'reason');
  });
};

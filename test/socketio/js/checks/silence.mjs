// A server that falls silent, with --ping-interval 200ms --ping-timeout 4s. It is
// alone with this check: it can't answer anybody else meanwhile.
import { equal } from '../compare.mjs';
import { User, ask, next, upgraded } from '../user.mjs';

/** Clients of every transport notice a server that stops, and can use it when it goes on. */
export async function stopped(user) {
  const all = user.every.map((transport) => new User({ ...user, transport }));
  try {
    const ended = await Promise.all(all.map(async (one) => {
      const socket = await one.open('/');
      if (one.transport === 'upgrade') await upgraded(socket);
      return [next(socket, 'disconnect')];
    }));
    process.kill(user.pid, 'SIGSTOP');
    try {
      for (const [reason] of ended) equal((await reason)[0], 'ping timeout', 'reason');
    } finally {
      process.kill(user.pid, 'SIGCONT');
    }
    for (const one of all) equal(await ask(await one.open('/'), 'message-with-ack', 1), [1], 'an answer');
  } finally {
    for (const one of all) one.close();
  }
}

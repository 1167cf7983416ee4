// Servers that come and go: the others' requests count on those that are there.
import { check, equal, eventually, unique } from '../../../socketio/js/compare.mjs';
import { far } from '../../../socketio/js/user.mjs';

/** Asks again and again while act runs, and returns the errors. */
async function errorsWhile(act, ask) {
  const errors = [];
  let over = false;
  const asking = (async () => {
    while (!over) await ask().catch((e) => { errors.push(e.message); });
  })();
  try {
    await act();
  } finally {
    over = true;
    await asking;
  }
  return errors;
}

/** Checks that requests of the asker find exactly the servers of the others: [{name, socket}]. */
async function requestsWork(cluster, asker, others) {
  const found = (await far(asker, 'fetch', {})).map((s) => s.id);
  for (const { name, socket } of others) check(found.includes(socket.id), `the socket at ${name} is not found`);
  equal(await far(asker, 'sseAck', { event: 'sse-ask' }), { error: null, responses: others.map(() => 'from-x') }, 'servers');
  const event = unique('question');
  for (const { name, socket } of others) socket.once(event, (done) => done(name));
  const outcome = await far(asker, 'broadcastAck', { rooms: others.map((o) => o.socket.id), event, timeout: 20_000 });
  equal([outcome.error, outcome.responses.sort()], [null, others.map((o) => o.name).sort()], 'acknowledgements');
}

/**
 * The server leaver ends by a signal and starts again, while the server asker
 * asks: whoever asks at the moment of the end may wait in vain, nobody else.
 */
export async function comesAndGoes(cluster, nsp, asker, leaver, signal, order) {
  const others = async () => Promise.all(cluster.servers.filter((s) => s.name !== asker && s.name !== leaver)
    .map(async ({ name }) => ({ name, socket: await cluster.open(name, nsp) })));
  const [socket, staying] = [await cluster.open(asker, nsp), await others()];
  const last = async () => ({ name: leaver, socket: await cluster.open(leaver, nsp) });
  const fetch = () => far(socket, 'fetch', {});
  await requestsWork(cluster, socket, [...staying, await last()]);

  const lost = await errorsWhile(() => order(`${signal} ${leaver}`), fetch);
  check(lost.length <= 1, `${lost.length} requests failed as ${leaver} ended: ${lost}`);
  await requestsWork(cluster, socket, staying);

  const failed = await errorsWhile(async () => {
    await order(`start ${leaver}`);
    await eventually(async () => {
      const { responses } = await far(socket, 'sseAck', { event: 'sse-ask' });
      return responses.length === staying.length + 1;
    }, `${leaver} answers`);
  }, fetch);
  equal(failed, [], `requests that failed as ${leaver} started`);
  await requestsWork(cluster, socket, [...staying, await last()]);
}

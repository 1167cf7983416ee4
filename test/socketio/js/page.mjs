// What runs in a page: the client's bundle has made the global io.
import { common } from './checks/index.mjs';
import { check, equal } from './compare.mjs';
import { chosen, runChecks } from './suite.mjs';
import { ask, settled } from './user.mjs';

const environment = ({ client, url }) => ({
  lib: globalThis.io,
  version: client === 'msgpack' ? 4 : Number(client),
  parser: client,
  url,
  origin: globalThis.location.origin,
  options: client === '2' ? { withCredentials: false } : {}, // the servers allow no credentials
  binary: ['2', 'msgpack'].includes(client) ? (array) => array.buffer : undefined,
});

/** Runs the common checks; report comes from Node. */
export async function run(settings) {
  // A page has six connections to a host: too few for four pollers.
  const { broadcasts, ...rest } = common;
  for (const transport of settings.transports) {
    const some = chosen(transport === 'websocket' ? common : rest, settings.only);
    await runChecks(`${settings.client}/${transport}`, some, { ...environment(settings), transport }, globalThis.report);
  }
}

/** Runs in a page of an origin that the server does not name. */
export async function foreign(settings) {
  const checks = {
    async refused(user) {
      const socket = user.dial('/');
      const error = await settled(socket);
      if (user.transport === 'websocket') equal(await ask(socket, 'message-with-ack', 1), [1], 'an answer');
      else check(error?.message === 'xhr poll error', `error is ${error?.message}`);
    },
  };
  for (const transport of settings.transports) {
    await runChecks(transport, checks, { ...environment(settings), transport }, globalThis.report);
  }
}

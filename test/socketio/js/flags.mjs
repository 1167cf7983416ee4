// The flags that both Node servers have, and what they mean to socket.io.
import { parseArgs } from 'node:util';
import parser from 'socket.io-msgpack-parser';

const milliseconds = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads durations as Go prints them (250ms, 1m30s); a bare number is milliseconds. */
function duration(text) {
  if (/^\d+$/.test(text)) return Number(text);
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new Error(`"${text}" is no duration`);
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce((sum, [, n, unit]) => sum + n * milliseconds[unit], 0);
}

/** Returns {host, port, options}: options as socket.io takes them, undefined where a flag was not given. */
export function flags() {
  const text = (value) => ({ type: 'string', default: value });
  const { values } = parseArgs({
    options: {
      listen: text('127.0.0.1:3000'),
      path: text('/socket.io/'),
      'ping-interval': text('25s'),
      'ping-timeout': text('20s'),
      'max-payload': text('1000000'),
      'connect-timeout': text('45s'),
      'cors-origin': text(),
      'allow-eio3': { type: 'boolean', default: false },
      parser: text('json'),
      recovery: text(),
    },
  });
  const [, host, port] = /^(.*):(\d+)$/.exec(values.listen);
  const options = {
    path: values.path,
    pingInterval: duration(values['ping-interval']),
    pingTimeout: duration(values['ping-timeout']),
    maxHttpBufferSize: Number(values['max-payload']),
    connectTimeout: duration(values['connect-timeout']),
    allowEIO3: values['allow-eio3'],
    serveClient: false,
  };
  if (values['cors-origin']) {
    const origins = values['cors-origin'].split(',');
    options.cors = { origin: origins.length > 1 ? origins : origins[0] };
  }
  if (values.parser === 'msgpack') options.parser = parser;
  else if (values.parser !== 'json') throw new Error(`unknown parser ${values.parser}`);
  if (values.recovery) {
    options.connectionStateRecovery = { maxDisconnectionDuration: duration(values.recovery), skipMiddlewares: true };
  }
  return { host, port: Number(port), options };
}

/** Listens, prints ready, and ends with SIGTERM. */
export function run(http, io, { host, port }) {
  http.keepAliveTimeout = 60_000;
  http.listen({ host, port, backlog: 4096 }, () => { console.log('ready'); });
  process.once('SIGTERM', () => {
    io.close();
    http.closeAllConnections();
    setTimeout(() => process.exit(0), 50);
  });
}

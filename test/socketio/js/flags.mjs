// The flags that both Node servers have, and what they mean to socket.io.
import { parseArgs } from 'node:util';
import parser from 'socket.io-msgpack-parser';
import { duration } from './duration.mjs';

/** Returns {host, port, options}: options as socket.io takes them, undefined where a flag was not given. */
export function flags() {
  const text = (value) => ({ type: 'string', default: value });
  const { values } = parseArgs({
    options: {
      listen: text('127.0.0.1:3000'),
      path: text('/socket.io/'),
      'ping-interval': text('25s'),
      'ping-timeout': text('20s'),
      patient: { type: 'boolean', default: false },
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
    upgradeTimeout: values.patient ? 120_000 : 10_000,
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

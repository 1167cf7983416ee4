// The client libraries by name, as a User takes them.
import { createRequire } from 'node:module';
import parser from 'socket.io-msgpack-parser';

const require = createRequire(import.meta.url);

export function clientLibrary(name) {
  switch (name) {
    case '4': return { lib: require('socket.io-client').io, version: 4 };
    case '3': return { lib: require('client3').io, version: 3 };
    case '2': return { lib: require('client2'), version: 2, binary: Buffer.from };
    case 'msgpack': return { lib: require('socket.io-client').io, version: 4, parser: 'msgpack', options: { parser } };
    default: throw new Error(`unknown client ${name}`);
  }
}

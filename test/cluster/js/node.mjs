// A node of a cluster by npm's packages: the flags and events of test/sioserver
// on socket.io with one of its adapters, and two more flags. --client says by
// which package it talks to Redis; --adapter also knows those of older days:
// classic7, classic6 and streams02.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { createAdapter as classic, createShardedAdapter as sharded } from '@socket.io/redis-adapter';
import { createAdapter as streams } from '@socket.io/redis-streams-adapter';
import Redis from 'ioredis';
import { createClient } from 'redis';
import redisAdapter7 from 'redis-adapter-7';
import streamsAdapter02 from 'redis-streams-adapter-02';
import { Server } from 'socket.io';
import redisAdapter6 from 'socket.io-redis-6';
import { duration } from '../../socketio/js/duration.mjs';
import { serve } from '../../socketio/js/far.mjs';
import { run } from '../../socketio/js/listen.mjs';

const text = (value) => ({ type: 'string', default: value });
const { values: flags } = parseArgs({
  options: {
    listen: text('127.0.0.1:3000'),
    namespaces: text('/,/custom'),
    client: text('redis'),
    adapter: text('classic'),
    'redis-url': text('redis://127.0.0.1:6379'),
    'subscription-mode': text('dynamic'),
    'specific-responses': { type: 'boolean', default: false },
    'stream-count': text('1'),
    recovery: text(),
  },
});

/** Makes a client of Redis, connected; what it calls errors are those of the server that the tests stop. */
const connect = {
  async redis() {
    const client = createClient({ url: flags['redis-url'] });
    client.on('error', () => {});
    return client.connect();
  },
  async ioredis() {
    const client = new Redis(flags['redis-url'], { lazyConnect: true });
    client.on('error', () => {});
    await client.connect();
    return client;
  },
}[flags.client];

const options = {
  publishOnSpecificResponseChannel: flags['specific-responses'],
  subscriptionMode: flags['subscription-mode'],
  streamCount: Number(flags['stream-count']),
};

const adapters = {
  classic: async () => classic(await connect(), await connect(), options),
  sharded: async () => sharded(await connect(), await connect(), options),
  streams: async () => streams(await connect(), options),
  classic7: async () => redisAdapter7.createAdapter(await connect(), await connect(), options),
  classic6: async () => redisAdapter6.createAdapter({ pubClient: await connect(), subClient: await connect() }),
  streams02: async () => streamsAdapter02.createAdapter(await connect(), {}),
};

// What nobody catches ends the process, as in most people's servers; adapters
// leave promises of commands behind that end with their connection.
process.on('unhandledRejection', (e) => {
  if (!/closed|disconnect|ECONNRESET/i.test(String(e?.message))) throw e;
});

const http = createServer((request, response) => {
  response.writeHead(request.url === '/health' ? 200 : 404).end();
});
const io = new Server(http, {
  serveClient: false,
  adapter: await adapters[flags.adapter](),
  connectionStateRecovery: flags.recovery && {
    maxDisconnectionDuration: duration(flags.recovery), skipMiddlewares: true,
  },
});
for (const name of flags.namespaces.split(',')) serve(io.of(name));
const [, host, port] = /^(.*):(\d+)$/.exec(flags.listen);
run(http, io, { host, port: Number(port) });

// The npm package socket.io behind the flags and the events of test/sioserver:
// what the tests demand of wsd they demand of this server first.
import { createServer } from 'node:http';
import { Server as EngineServer } from 'engine.io';
import { Server } from 'socket.io';
import { ClusterAdapter } from 'socket.io-adapter';
import { serve } from './far.mjs';
import { flags } from './flags.mjs';
import { run } from './listen.mjs';

/** A cluster of one node: npm's in-memory adapter has no server-side events at all. */
class SingleNode extends ClusterAdapter {
  doPublish() { return Promise.resolve(''); }
  doPublishResponse() { return Promise.resolve(); }
  serverCount() { return Promise.resolve(1); }
}

const { options, ...address } = flags();
const http = createServer((request, response) => { response.writeHead(404).end(); });
const adapter = options.connectionStateRecovery ? undefined : SingleNode;
const io = new Server(http, { ...options, adapter });
serve(io.of('/'));
serve(io.of('/custom'));
const { pingInterval, pingTimeout, maxHttpBufferSize, cors, allowEIO3 } = options;
const engine = new EngineServer({ pingInterval, pingTimeout, maxHttpBufferSize, cors, allowEIO3 });
engine.on('connection', (session) => { session.on('message', (data) => { session.send(data); }); });
engine.attach(http, { path: '/engine.io/' });
run(http, io, address);

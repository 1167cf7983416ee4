// The npm package socket.io behind the flags and the events of test/sioserver:
// what the tests demand of wsd they demand of this server first.
import { createServer } from 'node:http';
import { Server as EngineServer } from 'engine.io';
import { Server } from 'socket.io';
import { ClusterAdapter } from 'socket.io-adapter';
import { flags, run } from './flags.mjs';

/** A cluster of one node: npm's in-memory adapter has no server-side events at all. */
class SingleNode extends ClusterAdapter {
  doPublish() { return Promise.resolve(''); }
  doPublishResponse() { return Promise.resolve(); }
  serverCount() { return Promise.resolve(1); }
}

function targets(nsp, { rooms, except, local }) {
  let to = nsp.except(except ?? []);
  if (rooms?.length) to = to.to(rooms);
  return local ? to.local : to;
}

const outcome = (ack) => (err, responses) => ack({ error: err ? err.message : null, responses: responses ?? [] });

/** The events any client may send; each has an acknowledgement. */
const far = {
  join: ({ socket }, room) => socket.join(room),
  leave: ({ socket }, room) => socket.leave(room),
  rooms: ({ socket }) => [...socket.rooms],
  data: ({ socket }, value) => { socket.data = value; },
  broadcast: ({ nsp }, { event, args = [], ...to }) => { targets(nsp, to).emit(event, ...args); },
  broadcastAck: ({ nsp }, { event, args = [], timeout = 1000, ...to }) => new Promise((resolve) => {
    targets(nsp, to).timeout(timeout).emit(event, ...args, outcome(resolve));
  }),
  toOthers: ({ socket }, { rooms, event, args = [] }) => {
    (rooms?.length ? socket.to(rooms) : socket.broadcast).emit(event, ...args);
  },
  fetch: async ({ nsp }, to) => (await targets(nsp, to ?? {}).fetchSockets())
    .map(({ id, rooms, data, handshake }) => ({ id, rooms: [...rooms], data, handshake })),
  socketsJoin: ({ nsp }, { to, ...of }) => { targets(nsp, of).socketsJoin(to); },
  socketsLeave: ({ nsp }, { to, ...of }) => { targets(nsp, of).socketsLeave(to); },
  socketsDisconnect: ({ nsp }, { close, ...of }) => {
    setTimeout(() => { targets(nsp, of).disconnectSockets(close); }, 20);
  },
  sse: ({ nsp }, { event, args = [] }) => { nsp.serverSideEmit(event, ...args); },
  sseAck: ({ nsp }, { event, args = [] }) => new Promise((resolve) => {
    nsp.serverSideEmit(event, ...args, outcome(resolve));
  }),
  sseLog: ({ log }) => log,
};

function serve(nsp) {
  const log = [];
  for (const event of ['sse-one', 'sse-two']) nsp.on(event, (...args) => { log.push([event, ...args]); });
  nsp.on('sse-ask', (...args) => { args.pop()('from-x'); });
  nsp.on('connection', (socket) => {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...args) => { socket.emit('message-back', ...args); });
    socket.on('message-with-ack', (...args) => { args.pop()(...args); });
    for (const [name, act] of Object.entries(far)) {
      socket.on(`far:${name}`, async (...args) => {
        const ack = typeof args.at(-1) === 'function' ? args.pop() : () => {};
        try {
          ack((await act({ nsp, socket, log }, ...args)) ?? null);
        } catch (e) {
          ack({ farError: e.message });
        }
      });
    }
  });
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

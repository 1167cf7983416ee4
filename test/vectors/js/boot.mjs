// One Socket.IO server on a port of its own, and the record of what it saw.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Server } from 'socket.io';
import * as msgpackParser from 'socket.io-msgpack-parser';
import { apps } from './apps.mjs';
import { plain, real } from './plain.mjs';

// boot starts a server. style says what is recorded: "transport" the refused
// requests and the ends of sessions, "sessions" all that a socket's handlers see.
export async function boot({ style, app, options = {}, refuse, msgpack }) {
  const opts = { ...options };
  if (refuse) opts.allowRequest = (_, done) => done(refuse.message ?? null, false);
  if (msgpack) opts.parser = msgpackParser.default ?? msgpackParser;

  const http = createServer((_, res) => res.writeHead(404).end());
  const connections = new Set();
  http.on('connection', (c) => connections.add(c.on('close', () => connections.delete(c))));
  const io = new Server(http, opts);
  const events = [];
  recordTransport(io, events, style);
  const watch = style === 'transport' ? watchEnds(events) : watchAll(events);
  watch(io.of('/'));
  apps[app ?? 'none'](io, { watch, events });

  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    io,
    events,
    port: http.address().port,
    parked(sid) {
      const transport = io.engine.clients[sid]?.transport;
      return Boolean(transport?.req || transport?.dataReq);
    },
    emit: (emission) => emit(io, emission),
    join: (socket, room) => void io.sockets.sockets.get(socket).join(room),
    // close does not wait for what clients left open.
    close() {
      io.close();
      for (const c of connections) c.destroy();
    },
  };
}

function recordTransport(io, events, style) {
  io.engine.on('connection', (session) =>
    session.on('close', (reason, description) => events.push({ event: 'engine close', reason, description: description?.message })),
  );
  if (style !== 'transport') return;
  io.engine.on('connection_error', ({ code, message, context }) =>
    events.push({ event: 'engine connection_error', code, message, context: context && JSON.parse(JSON.stringify(context)) }),
  );
}

const watchEnds = (events) => (nsp) =>
  nsp.on('connection', (s) => s.on('disconnect', (reason) => events.push({ event: 'socket disconnect', reason })));

const watchAll = (events) => (nsp) =>
  nsp.on('connection', (s) => {
    const at = { nsp: nsp.name };
    events.push({ event: 'connection', ...at, recovered: s.recovered || undefined, auth: plain(s.handshake.auth) });
    s.on('error', (e) => events.push({ event: 'socket error', message: e.message }));
    s.on('disconnect', (reason) => events.push({ event: 'disconnect', ...at, reason }));
    s.onAny((...args) => events.push({ event: 'onAny', ...at, args: plain(args) }));
  });

// emit sends args to one socket, to a room, or to all.
function emit(io, { socket, room, volatile, ack, args }) {
  let to = socket ? io.sockets.sockets.get(socket) : room ? io.to(room) : io;
  if (volatile) to = to.volatile;
  const rest = real(args);
  if (ack) rest.push(() => {});
  to.emit(...rest);
}

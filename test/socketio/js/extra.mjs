// The twin of the program extra, on npm's socket.io.
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { flags } from './flags.mjs';
import { run } from './listen.mjs';

const answerTimeout = 500;
const ended = new Map();

function connected(socket) {
  for (let i = 0; i < 3; i++) socket.emit('hello', i);
  const names = [];
  socket.onAny((name) => { names.push(name); });
  const end = (event) => (reason) => {
    ended.set(socket.id, [...ended.get(socket.id) ?? [], [event, reason, socket.rooms.size]]);
  };
  socket.on('disconnecting', end('disconnecting'));
  socket.on('disconnect', end('disconnect'));
  socket.use(([event], next) => next(event === 'forbidden' ? new Error('not that event') : undefined));
  socket.on('error', (e) => { socket.emit('refused', e.message); });
  socket.on('forbidden', () => { socket.emit('refused', 'by its handler'); });

  socket.on('names', (ack) => ack(names));
  socket.on('ended', (id, ack) => ack(ended.get(id) ?? []));
  socket.on('who', (ack) => ack({
    namespace: socket.nsp.name, id: socket.id, rooms: [...socket.rooms], data: Object.keys(socket.data).length ? socket.data : null,
  }));
  socket.on('handshake', (ack) => {
    const { query, auth, headers, secure } = socket.handshake;
    ack({ query: query.q ?? '', auth, header: headers['x-test'] ?? '', secure });
  });
  socket.on('call', (event, ...args) => {
    const ack = args.pop();
    socket.timeout(answerTimeout).emit(event, ...args, (error, ...answer) => {
      ack(error ? { error: error.message } : { answer });
    });
  });
  socket.on('volatile', (n) => {
    for (let i = 0; i < n; i++) socket.volatile.emit('vapour', i, Buffer.alloc(i % 3));
    socket.emit('vapour-end');
  });
  socket.on('plain', (...args) => { socket.compress(false).emit('plain-back', ...args); });
  socket.on('kick', (close) => { socket.disconnect(close); });
  socket.on('join-and-tell', (room) => {
    socket.join(room);
    socket.nsp.to(room).emit('joined', socket.id);
  });
  socket.on('later', (n) => {
    setTimeout(() => { for (let i = 0; i < n; i++) socket.emit('late', i); }, 1);
  });
  socket.on('slow', (ack) => { setTimeout(ack, 300, 'slow'); });
  socket.on('ack-twice', (ack) => { ack(1); ack(2); });
}

const { options, ...address } = flags();
const http = createServer();
const io = new Server(http, options);
const guarded = io.of('/guarded');
guarded.use((socket, next) => {
  socket.emit('early', 1);
  const { token } = socket.handshake.auth;
  if (token === 'secret') {
    socket.data.user = 'known';
    next();
  } else if (token === 'plain') {
    next(new Error('a plain error'));
  } else {
    next(Object.assign(new Error('unauthorized'), { data: { code: 401, hint: ['log in', null] } }));
  }
});
guarded.use((socket, next) => { socket.join('by middleware'); next(); });
const some = (name, auth, next) => next(null, auth.allow === true && name !== '/never');
for (const nsp of [io.of('/'), guarded, io.of(/^\/room-\d+$/), io.of(some)]) nsp.on('connection', connected);
run(http, io, address);

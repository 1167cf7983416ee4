// The benchmark's Socket.IO server: node sio.mjs PORT ws|uws
// Event "m" is answered with "m" and the same arguments, event "b" is emitted
// as "m" to a room that every socket joins.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const [port, base = 'ws'] = process.argv.slice(2);
const room = 'everyone';
const io = new Server({ serveClient: false });

io.on('connection', (socket) => {
  socket.join(room);
  socket.on('m', (...args) => socket.emit('m', ...args));
  socket.on('b', (...args) => io.to(room).emit('m', ...args));
});

if (base === 'uws') {
  // Not among the dependencies: it is large, and needs glibc 2.38 or later.
  const { default: uws } = await import('@btc-vision/uwebsockets.js');
  const app = uws.App();
  io.attachApp(app);
  app.listen('127.0.0.1', Number(port), (listening) => {
    if (!listening) throw new Error(`cannot listen on port ${port}`);
  });
} else {
  const server = createServer();
  io.attach(server);
  server.listen(Number(port), '127.0.0.1');
}

// The benchmark's Socket.IO server:
//   node sio.mjs PORT ws|uws [--adapter classic|sharded|streams --redis-url URL]
// Event "m" is answered with "m" and the same arguments, event "b" is emitted
// as "m" to a room that every socket joins.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const [port, base = 'ws', ...cluster] = process.argv.slice(2);
const room = 'everyone';
const io = new Server({ serveClient: false, adapter: await adapter(...cluster) });

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

// adapter makes what joins this server with others; none: it is alone.
async function adapter(_, kind, __, url) {
  if (!kind) return undefined;
  const { createClient } = await import('redis');
  const client = createClient({ url });
  await client.connect();
  if (kind === 'streams') {
    const { createAdapter } = await import('@socket.io/redis-streams-adapter');
    return createAdapter(client);
  }
  const { createAdapter, createShardedAdapter } = await import('@socket.io/redis-adapter');
  const sub = client.duplicate();
  await sub.connect();
  return kind === 'sharded' ? createShardedAdapter(client, sub) : createAdapter(client, sub);
}

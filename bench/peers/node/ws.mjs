// The benchmark's echo and publish server on ws: node ws.mjs PORT off|shared
import { WebSocketServer } from 'ws';

const [port, compression = 'off'] = process.argv.slice(2);
const topics = new Map(); // name -> Set of sockets

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(port),
  maxPayload: 16 * 1024 + 64,
  perMessageDeflate: compression === 'off' ? false : {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    threshold: 128,
  },
});

server.on('connection', (socket, request) => {
  socket.on('error', () => socket.terminate());
  if (!request.url.startsWith('/topics/')) {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    return;
  }
  const name = request.url.slice('/topics/'.length);
  if (!topics.has(name)) topics.set(name, new Set());
  const members = topics.get(name).add(socket);
  socket.on('message', (data, binary) => {
    for (const other of members) if (other !== socket) other.send(data, { binary });
  });
  socket.on('close', () => {
    members.delete(socket);
    if (members.size === 0) topics.delete(name);
  });
});

// node listeners.mjs '<settings>'
//
// Socket.IO clients that tell, a line of JSON each, what happens to them. settings:
// {url, clients: [{user, rooms, transports}]}. An event that wants an acknowledgement
// gets "fine", but "silence" gets none. They leave when standard input ends.
import { io } from 'socket.io-client';

const settings = JSON.parse(process.argv[2]);
const tell = (client, what) => process.stdout.write(`${JSON.stringify({ client, ...what })}\n`);

const sockets = settings.clients.map(({ user, rooms = [], transports = ['websocket'] }, client) => {
  const socket = io(settings.url, { auth: user ? { user } : {}, transports, forceNew: true });
  socket.onAny((event, ...args) => {
    const ack = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    tell(client, { event, args });
    if (event !== 'silence') ack?.('fine');
  });
  socket.on('connect', async () => {
    for (const room of rooms) {
      const answer = await socket.timeout(20_000).emitWithAck('join', room);
      if (!answer.ok) throw new Error(JSON.stringify(answer));
    }
    tell(client, { connected: socket.id });
  });
  socket.on('disconnect', (reason) => tell(client, { gone: reason }));
  return socket;
});

process.stdin.on('end', () => {
  for (const s of sockets) s.disconnect();
  process.exit(0);
});
process.stdin.resume();

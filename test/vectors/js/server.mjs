// Socket.IO servers for the replayer, driven by JSON lines on standard input:
// {id, op, ...} is answered by {id, ...} or {id, error}. Servers live until
// they are told to close, and the process until its input ends.
import { createInterface } from 'node:readline';
import { boot } from './boot.mjs';

const servers = new Map();

const ops = {
  async boot({ server, ...how }) {
    const s = await boot(how);
    servers.set(server, s);
    return { port: s.port };
  },
  events: (s) => ({ events: s.events }),
  parked: (s, { sid }) => ({ parked: s.parked(sid) }),
  sessions: (s) => ({ sessions: s.io.engine.clientsCount }),
  emit: (s, { emission }) => s.emit(emission),
  join: (s, { socket, room }) => s.join(socket, room),
  kick: (s, { close }) => s.io.disconnectSockets(close),
  shutdown: (s) => void s.io.close(),
  close(s, { server }) {
    servers.delete(server);
    s.close();
  },
};

async function run({ id, op, ...rest }) {
  try {
    const answer = op === 'boot' ? await ops.boot(rest) : await ops[op](servers.get(rest.server), rest);
    return { id, ...answer };
  } catch (e) {
    return { id, error: String(e) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  run(JSON.parse(line)).then((answer) => console.log(JSON.stringify(answer)));
}
process.exit(0);

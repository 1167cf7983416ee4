// Clients behind a proxy, from many addresses: one room, wherever they land.
import { Agent } from 'node:http';
import { io } from 'socket.io-client';
import { check, equal, eventually, unique } from '../../../socketio/js/compare.mjs';
import { User, far, inbox, upgraded } from '../../../socketio/js/user.mjs';

/** How many clients there are, each from an address, and a network of 24 bits, of its own. */
const crowd = 24;

const transports = ['websocket', 'polling', 'upgrade'];

/** What each of them says to the others of a room comes to all of them once, and they are on all servers. */
export async function balanced({ proxy, servers }) {
  const agents = [];
  const users = [];
  try {
    const clients = await Promise.all(Array.from({ length: crowd }, async (_, i) => {
      const agent = new Agent({ keepAlive: true, localAddress: `127.0.${i + 1}.1` });
      const transport = transports[i % transports.length];
      const user = new User({ lib: io, transport, url: proxy, options: { agent } });
      agents.push(agent);
      users.push(user);
      const socket = await user.open('/');
      if (transport === 'upgrade') await upgraded(socket);
      return socket;
    }));
    const room = unique('room');
    await Promise.all(clients.map((socket) => far(socket, 'join', room)));
    const here = await Promise.all(clients.map(async (socket) => (await far(socket, 'fetch', { rooms: [room], local: true }))
      .map((s) => s.id).sort().join()));
    equal(new Set(here).size, servers.length, 'servers in use');
    await eventually(async () => (await far(clients[0], 'fetch', { rooms: [room] })).length === crowd, `${crowd} in the room`);

    const event = unique('event');
    const got = clients.map((socket) => inbox(socket, event));
    await Promise.all(clients.map((socket, i) => far(socket, 'toOthers', { rooms: [room], event, args: [i] })));
    for (const [i, { wait }] of got.entries()) {
      const from = (await wait(crowd - 1)).flat().sort((a, b) => a - b);
      equal(from, clients.map((_, n) => n).filter((n) => n !== i), `what client ${i} got`);
    }
    for (const [i, socket] of clients.entries()) {
      check(socket.connected, `client ${i} was disconnected`);
      const name = socket.io.engine.transport.name;
      equal(name, i % 3 === 1 ? 'polling' : 'websocket', 'transport');
    }
  } finally {
    for (const user of users) user.close();
    for (const agent of agents) agent.destroy();
  }
}

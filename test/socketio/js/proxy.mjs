// A TCP proxy that can break what runs through it.
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { next } from './user.mjs';

/** Listens on a port of its own in front of the server at url. */
export async function proxy(url) {
  const { hostname, port } = new URL(url);
  const all = new Set();
  const server = createServer((near) => {
    const remote = connect(Number(port), hostname);
    for (const [from, to] of [[near, remote], [remote, near]]) {
      all.add(from);
      from.pipe(to);
      from.on('error', () => {});
      from.on('close', () => { all.delete(from); to.destroy(); });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = server.address().port;
  const cut = () => { for (const socket of all) socket.destroy(); };
  /** Breaks all connections and refuses new ones until open. */
  const shut = async () => {
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };
  const open = async () => {
    server.listen(own, '127.0.0.1');
    await once(server, 'listening');
  };
  return {
    url: `http://127.0.0.1:${own}`,
    shut,
    open,
    /** Breaks the connection of socket, which reconnects by itself; meanwhile() runs in between. */
    async interrupt(socket, meanwhile = () => {}) {
      const disconnected = next(socket, 'disconnect');
      await shut();
      await disconnected;
      await meanwhile();
      const connected = next(socket, 'connect');
      await open();
      await connected;
    },
    close() {
      server.close();
      cut();
    },
  };
}

// The clients of a cluster: who is connected where, and who hears what.
import { io } from 'socket.io-client';
import { check, equal, eventually, pause, unique } from '../../socketio/js/compare.mjs';
import { User, ask, far, inbox, next } from '../../socketio/js/user.mjs';

/** How many milliseconds a volatile event, or one for a room just joined, may take to get through. */
const persistence = 20_000;

/** Opens connections to any of the servers: [{name, maker, url}]. */
export class Cluster {
  constructor({ servers, kind, ...settings }) {
    Object.assign(this, settings, { servers, kind });
    this.user = new User({ lib: io, transport: 'websocket' });
    // Rooms have channels of their own, which servers subscribe to without waiting.
    this.dynamic = kind.startsWith('sharded-dynamic');
  }

  server(name) {
    const found = this.servers.find((s) => s.name === name);
    check(found, `no server ${name}`);
    return found;
  }

  /** A socket at a server by name, connected. */
  open(name, nsp, options) {
    return this.user.open(nsp, { url: this.server(name).url, ...options });
  }

  close() { this.user.close(); }

  /** Waits until the servers of the pairs [from, to] hear each other in a namespace: every one has subscribed. */
  async settle(nsp, pairs) {
    const names = [...new Set(pairs.flat())];
    const clients = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await this.open(n, nsp)])));
    await Promise.all(pairs.map(async ([from, to]) => {
      const probe = inbox(clients[to], unique('probe'));
      const event = probe.event;
      await eventually(async () => {
        await far(clients[from], 'broadcast', { event, args: [] });
        await pause(20);
        return probe.got.length > 0;
      }, `${to} hears ${from} in ${nsp}`, 20_000);
    }));
    for (const client of Object.values(clients)) client.disconnect();
  }
}

/** Collects the events of a name at several sockets: {name: inbox}. */
function inboxes(sockets, event) {
  return Object.fromEntries(Object.entries(sockets).map(([name, socket]) => [name, inbox(socket, event)]));
}

/**
 * A Flow is a direction in a namespace: the sockets caller and near are at the
 * server from, the sockets a, b and c at the server to. caller asks its server
 * to do what is tested.
 */
export class Flow {
  static async open(cluster, nsp, from, to) {
    const flow = new Flow();
    const at = { caller: from, near: from, a: to, b: to, c: to };
    flow.sockets = Object.fromEntries(await Promise.all(Object.entries(at).map(
      async ([who, server]) => [who, await cluster.open(server, nsp, { auth: { who } })],
    )));
    return Object.assign(flow, { cluster, nsp, from, to, maker: cluster.server(from).maker }, flow.sockets);
  }

  /** Another socket at the server to. */
  extra(nsp = this.nsp) { return this.cluster.open(this.to, nsp); }

  far(name, request) { return far(this.caller, name, request); }

  /** The name of a new room with members, by their names, whom the caller's server reaches there. */
  async room(...members) { return this.roomNamed(unique('room'), ...members); }

  async roomNamed(room, ...members) {
    for (const who of members) await far(this.sockets[who], 'join', room);
    await this.reachable(room, ...members);
    return room;
  }

  /** Waits until a broadcast to a room reaches its members. */
  async reachable(room, ...members) {
    if (!this.cluster.dynamic) return;
    const event = unique('reach');
    const got = members.map((who) => inbox(this.sockets[who], event));
    await eventually(async () => {
      await this.far('broadcast', { rooms: [room], event });
      await this.fence();
      return got.every((g) => g.got.length > 0);
    }, `room ${room} is reached`, persistence);
  }

  /** Waits until everybody has what the caller's server sent before. */
  fence() { return this.fenced((event) => this.far('broadcast', { event })); }

  /** Waits until everybody has what both servers sent before. */
  async settled() {
    await this.fence();
    await this.fenced((event) => far(this.a, 'broadcast', { event }));
  }

  async fenced(send) {
    const event = unique('fence');
    const all = Object.values(this.sockets).map((socket) => next(socket, event));
    await send(event);
    await Promise.all(all);
  }

  /**
   * Runs act(event), and checks that each of the sockets named in who, apart by
   * spaces, hears the event once with args, and that nobody else hears it.
   */
  async hears(who, args, act) {
    const event = unique('event');
    const got = inboxes(this.sockets, event);
    const names = who.split(' ').filter(Boolean);
    await act(event);
    for (const name of names) await got[name].wait(1);
    await this.fence();
    for (const [name, { got: events }] of Object.entries(got)) {
      equal(events, names.includes(name) ? [args] : [], name);
      this.sockets[name].off(event);
    }
  }

  /** As hears, of a broadcast by the caller's server. */
  broadcast(who, request, args = [unique('value')]) {
    return this.hears(who, args, (event) => this.far('broadcast', { ...request, event, args }));
  }

  /** As hears, of a broadcast by the caller's socket. */
  toOthers(who, request, args = [unique('value')]) {
    return this.hears(who, args, (event) => this.far('toOthers', { ...request, event, args }));
  }

  /**
   * Broadcasts with acknowledgement; answers say what each socket acknowledges
   * with: {name: list of arguments, or null for nobody's answer}.
   */
  async broadcastAck(answers, request) {
    const event = unique('question');
    for (const [who, answer] of Object.entries(answers)) {
      this.sockets[who].once(event, (...args) => { if (answer) args.pop()(...answer); });
    }
    return this.far('broadcastAck', { timeout: 20_000, ...request, event, args: ['?'] });
  }

  /** The rooms of a socket, as its own server has them. */
  rooms(who) { return far(this.sockets[who], 'rooms'); }

  /** Waits until exactly the named ones of the sockets a, b, c and near are in a room. */
  async members(room, who) {
    const names = who.split(' ').filter(Boolean);
    for (const name of ['near', 'a', 'b', 'c']) {
      await eventually(
        async () => (await this.rooms(name)).includes(room) === names.includes(name),
        `${name} in ${room}: ${names.includes(name)}`,
      );
    }
  }

  /** A connection with sockets in two namespaces at the server to. */
  async pair() {
    const gone = await this.extra();
    const beside = this.cluster.user.beside(gone, this.nsp === '/' ? '/custom' : '/');
    await this.cluster.user.ready(beside);
    return { gone, beside, disconnected: next(gone, 'disconnect') };
  }

  async close() {}
}

/** Checks that a socket is connected, by asking. */
export async function alive(socket) {
  equal(await ask(socket, 'message-with-ack', 1), [1], 'an acknowledgement');
}

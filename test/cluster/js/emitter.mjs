// What a program without sockets can do: npm's emitter in the place of a server.
import { Emitter } from '@socket.io/redis-emitter';
import { createClient } from 'redis';
import { check } from '../../socketio/js/compare.mjs';
import { Flow } from './cluster.mjs';

/** The far events that an emitter has. */
const acts = {
  broadcast: (to, { event, args = [] }) => { to.emit(event, ...args); },
  socketsJoin: (to, { to: rooms }) => { to.socketsJoin(rooms); },
  socketsLeave: (to, { to: rooms }) => { to.socketsLeave(rooms); },
  socketsDisconnect: (to, { close }) => { to.disconnectSockets(close); },
  sse: (to, { event, args = [] }) => { to.serverSideEmit(event, ...args); },
};

/** A Flow whose caller asks an emitter, not its server; all of its sockets are at the server to. */
export class EmitterFlow extends Flow {
  static async open(cluster, nsp, to) {
    const flow = Object.setPrototypeOf(await Flow.open(cluster, nsp, to, to), EmitterFlow.prototype);
    flow.redis = await createClient({ url: cluster.redis }).connect();
    flow.emitter = new Emitter(flow.redis);
    return flow;
  }

  async far(name, { rooms, except, volatile, compress, ...request } = {}) {
    check(acts[name], `an emitter has no ${name}`);
    let to = this.emitter.of(this.nsp);
    if (name !== 'sse') {
      to = to.except(except ?? []);
      if (rooms?.length) to = to.to(rooms);
      if (volatile) to = to.volatile;
      if (compress === false) to = to.compress(false);
    }
    acts[name](to, request);
  }

  async close() { await this.redis.close(); }
}

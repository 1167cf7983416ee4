// A user of some client library. Runs in Node and in pages: it imports no package.
import { check, eventually, within } from './compare.mjs';

/** How long anything may take before it counts as not happening. */
export let patience = 20_000;

/** Has checks be more patient, where they wear the machine out. */
export function bePatient(ms) { patience = ms; }

const transports = {
  websocket: ['websocket'],
  polling: ['polling'],
  upgrade: ['polling', 'websocket'],
};

/** Waits for the next event of a name on anything with on and off. */
export function next(emitter, event, ms = patience) {
  let listener;
  const happened = new Promise((resolve) => {
    listener = (...args) => resolve(args);
    emitter.once(event, listener);
  });
  const result = within(happened, ms, `event ${event}`).finally(() => emitter.off(event, listener));
  result.catch(() => {}); // a check that fails earlier never looks at it
  return result;
}

/** Collects the arguments of all events of a name. */
export function inbox(socket, event) {
  const got = [];
  socket.on(event, (...args) => { got.push(args); });
  return {
    event,
    got,
    /** Waits for n in all and returns them. */
    async wait(n) {
      await eventually(() => got.length >= n, `${n} of ${event} (${got.length} came)`);
      return got;
    },
  };
}

/** Emits with an acknowledgement and returns what it brings: a list. */
export function ask(socket, event, ...args) {
  return within(new Promise((resolve) => {
    socket.emit(event, ...args, (...answer) => resolve(answer));
  }), patience, `answer to ${event}`);
}

/** Calls one of the server's far events and returns its answer. */
export async function far(socket, name, ...args) {
  const [answer] = await ask(socket, `far:${name}`, ...args);
  if (answer?.farError !== undefined) throw new Error(`far:${name}: ${answer.farError}`);
  return answer;
}

/** Resolves with the namespace's first answer: nothing, or the error that refuses. */
export async function settled(socket, ms = patience) {
  if (socket.connected) return undefined;
  let done;
  const listeners = {
    connect: () => done(undefined),
    connect_error: (e) => done(e),
    error: (e) => done(e instanceof Error ? e : Object.assign(new Error(e.message ?? e), { data: e })),
  };
  const first = new Promise((resolve) => { done = resolve; });
  for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  try {
    return await within(first, ms, 'connect');
  } finally {
    for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
  }
}

/** Waits until the connection runs by WebSocket. */
export async function upgraded(socket) {
  const { engine } = socket.io;
  await eventually(() => engine.transport.name === 'websocket', 'the upgrade', patience);
}

/**
 * User opens connections to one server by one library and transport, and ends
 * them all at once. environment: {lib, version, url, transport, parser, ...}.
 */
export class User {
  constructor(environment) {
    Object.assign(this, environment);
    this.sockets = [];
  }

  /** A socket of a connection of its own; it may not be connected yet. */
  dial(nsp = '/', options = {}) {
    const { url = this.url, ...rest } = options;
    const socket = this.lib(url + nsp, {
      transports: transports[this.transport],
      forceNew: true,
      reconnection: false,
      ...this.options,
      ...rest,
    });
    this.sockets.push(socket);
    return socket;
  }

  /** As dial, and waits for the connection. */
  async open(nsp, options) {
    const socket = this.dial(nsp, options);
    await this.ready(socket);
    return socket;
  }

  /** Another namespace on the connection of socket. */
  beside(socket, nsp, options) {
    const other = socket.io.socket(nsp, options);
    this.sockets.push(other);
    return other;
  }

  async ready(socket) {
    const error = await settled(socket);
    if (error) throw error;
    check(socket.id, 'a connected socket has no id');
  }

  /** n sockets, connected. */
  many(n, nsp) {
    return Promise.all(Array.from({ length: n }, () => this.open(nsp)));
  }

  close() {
    for (const socket of this.sockets) {
      socket.io.reconnection(false);
      socket.disconnect();
      socket.io.engine?.close();
    }
    this.sockets = [];
  }
}

// The events with which a client acts on other sockets of its namespace and on
// other nodes, as test/sioserver has them, for any server of npm's socket.io.

const outcome = (ack) => (err, responses) => ack({ error: err ? err.message : null, responses: responses ?? [] });

/** The flags of a broadcast that a request asks for. */
function flagged(broadcast, { local, volatile, compress }) {
  let to = broadcast;
  if (local) to = to.local;
  if (volatile) to = to.volatile;
  return compress === false ? to.compress(false) : to;
}

/** The sockets that a request means. */
function targets(nsp, { rooms, except, ...flags }) {
  const to = nsp.except(except ?? []);
  return flagged(rooms?.length ? to.to(rooms) : to, flags);
}

/** What can be done to a single socket of another node. */
const single = {
  emit: (socket, { event, args = [] }) => { socket.emit(event, ...args); },
  join: (socket, { to }) => { socket.join(to); },
  leave: (socket, { to }) => { for (const room of to) socket.leave(room); },
  disconnect: (socket, { close }) => { socket.disconnect(close); },
};

/** The events any client may send; each has an acknowledgement. */
const far = {
  join: ({ socket }, room) => socket.join(room),
  leave: ({ socket }, room) => socket.leave(room),
  rooms: ({ socket }) => [...socket.rooms],
  data: ({ socket }, value) => { socket.data = value; },
  broadcast: ({ nsp }, { event, args = [], ...to }) => { targets(nsp, to).emit(event, ...args); },
  broadcastAck: ({ nsp }, { event, args = [], timeout = 1000, ...to }) => new Promise((resolve) => {
    targets(nsp, to).timeout(timeout).emit(event, ...args, outcome(resolve));
  }),
  toOthers: ({ socket }, { rooms, except, event, args = [], ...flags }) => {
    const to = rooms?.length ? socket.to(rooms) : socket.broadcast;
    flagged(to.except(except ?? []), flags).emit(event, ...args);
  },
  fetch: async ({ nsp }, to) => (await targets(nsp, to ?? {}).fetchSockets())
    .map(({ id, rooms, data, handshake }) => ({ id, rooms: [...rooms], data, handshake })),
  remote: async ({ nsp }, { do: act, event, args, to, close, ...of }) => {
    const sockets = await targets(nsp, of).fetchSockets();
    for (const socket of sockets) single[act](socket, { event, args, to, close });
    return sockets.length;
  },
  socketsJoin: ({ nsp }, { to, ...of }) => { targets(nsp, of).socketsJoin(to); },
  socketsLeave: ({ nsp }, { to, ...of }) => { targets(nsp, of).socketsLeave(to); },
  socketsDisconnect: ({ nsp }, { close, ...of }) => {
    setTimeout(() => { targets(nsp, of).disconnectSockets(close); }, 20);
  },
  allRooms: async ({ nsp }) => [...await nsp.adapter.allRooms()],
  sse: ({ nsp }, { event, args = [] }) => { nsp.serverSideEmit(event, ...args); },
  sseAck: ({ nsp }, { event, args = [] }) => new Promise((resolve) => {
    nsp.serverSideEmit(event, ...args, outcome(resolve));
  }),
  sseLog: ({ log }, first) => (first ? log.filter((entry) => entry[1] === first) : log),
};

/** Registers the events of a namespace. */
export function serve(nsp) {
  const log = [];
  for (const event of ['sse-one', 'sse-two']) nsp.on(event, (...args) => { log.push([event, ...args]); });
  nsp.on('sse-ask', (...args) => { if (typeof args.at(-1) === 'function') args.at(-1)('from-x'); });
  nsp.on('connection', (socket) => {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...args) => { socket.emit('message-back', ...args); });
    socket.on('message-with-ack', (...args) => { args.pop()(...args); });
    for (const [name, act] of Object.entries(far)) {
      socket.on(`far:${name}`, async (...args) => {
        const ack = typeof args.at(-1) === 'function' ? args.pop() : () => {};
        try {
          ack((await act({ nsp, socket, log }, ...args)) ?? null);
        } catch (e) {
          ack({ farError: e.message });
        }
      });
    }
  });
}

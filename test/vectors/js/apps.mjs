// What the transcripts' servers did beyond listening. Each app has its twin in
// apps_test.go.
import { plain } from './plain.mjs';

const each = (fn) => (io) => void io.on('connection', fn);

const answerCount = (s) => s.on('q', (...args) => args.at(-1)('r', args.length));

function refusal(message, data) {
  const e = new Error(message);
  e.data = data;
  return (_, next) => next(e);
}

export const apps = {
  none() {},

  // namespaces
  admin: (io, { watch }) => watch(io.of('/admin')),
  dynamic: (io) => void io.of(/^\/dyn-\d+$/).on('connection', (s) => s.emit('hi', s.nsp.name)),
  'admin, count': (io, { watch }) => {
    watch(io.of('/admin'));
    for (const nsp of [io, io.of('/admin')]) nsp.on('connection', answerCount);
  },

  // middlewares
  'refuse with 401': (io) => void io.use(refusal('not authorized', { code: 401 })),
  'refuse with 1': (io) => void io.use(refusal('not authorized', { code: 1 })),
  'refuse /admin': (io) => void io.of('/admin').use(refusal('nope')),
  'early': (io) =>
    void io.use((s, next) => {
      s.emit('early');
      next();
    }),

  // emits on connection
  'ask': (io, { events }) => each((s) => s.emit('q', (a) => events.push({ event: 'ack value', a })))(io),
  'ask for 100 ms': (io, { events }) =>
    each((s) =>
      s.timeout(100).emit('q', (err, v) => events.push({ event: 'ack callback', err: err?.message, v: plain(v) })),
    )(io),
  'first': each((s) => s.emit('first', s.connected)),
  'odd values': each((s) =>
    s.emit('v', undefined, NaN, new Date(0), { u: undefined }, () => 1, -0, '€😀\u2028', '<>&'),
  ),
  'bin': each((s) => s.emit('bin', Buffer.of(1, 2, 3))),
  'small and big': each((s) => {
    s.emit('small', 'a');
    s.emit('big', 'a'.repeat(2000));
    s.compress(false).emit('big-nocompress', 'a'.repeat(2000));
  }),

  // disconnects
  'disconnect the first': (io) => {
    let first = true;
    io.on('connection', (s) => {
      if (first) s.disconnect();
      first = false;
    });
  },
  'bye': (io, { watch }) => {
    watch(io.of('/admin'));
    io.on('connection', (s) => s.on('bye', () => s.disconnect(true)));
  },

  // answers to events
  'hi: bin, uni': each((s) =>
    s.on('hi', () => {
      s.emit('bin', Buffer.of(1, 2, 3));
      s.emit('uni', '€😀');
    }),
  ),
  'hi: yo': each((s) => s.on('hi', () => s.emit('yo'))),
  'hi: ack': each((s) => s.on('hi', (a, done) => done(a, Buffer.of(1, 2)))),
  'bin: got': each((s) => s.on('bin', (b) => s.emit('got', Buffer.isBuffer(b), b.toString('hex')))),
  'b: concat': each((s) => s.on('b', (x, y, done) => done(Buffer.concat([x, y.n])))),
  'q: 3, x': each((s) => s.on('q', (_, done) => done(Uint8Array.of(3), 'x'))),
  'q: r, 1': each((s) => s.on('q', (done) => done('r', Buffer.of(1)))),
  // go(n): an event whose Engine.IO packet has n bytes
  'go': each((s) => s.on('go', (n) => s.emit('x', 'a'.repeat(n - '42["x",""]'.length)))),
};

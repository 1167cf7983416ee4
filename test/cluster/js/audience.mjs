// People at all servers, in the rooms r0 to r3, who answer and ask all the time.
import { io } from 'socket.io-client';
import { pause } from '../../socketio/js/compare.mjs';

/** How many sockets there are at each server in each namespace. */
const crowd = 3;

/** How many milliseconds each of them thinks between two questions. */
const thought = 50;

/** What one asks for, whatever comes of it. */
const questions = [
  ['fetch', { rooms: ['r0', 'r1'] }],
  ['broadcastAck', { rooms: ['r2'], event: 'q', args: [1], timeout: 200 }],
  ['broadcast', { rooms: ['r3'], event: 'e', args: [{ a: [1, 'x'] }] }],
  ['broadcast', { except: ['r3'], event: 'e', args: [Buffer.from('binary')] }],
  ['socketsJoin', { rooms: ['r0'], to: ['r1', 'r2'] }],
  ['socketsLeave', { rooms: ['r1'], to: ['r2'] }],
  ['sse', { event: 'sse-one', args: ['x'] }],
  ['sseAck', { event: 'sse-ask' }],
  ['fetch', {}],
];

export class Audience {
  static async open({ servers }, namespaces = ['/', '/custom']) {
    const audience = new Audience();
    audience.over = false;
    audience.sockets = servers.flatMap(({ url }) => namespaces.flatMap((nsp) => Array.from(
      { length: crowd },
      () => io(url + nsp, { transports: ['websocket'], forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 200 }),
    )));
    audience.asking = audience.sockets.map((socket, i) => audience.ask(socket, i));
    return audience;
  }

  async ask(socket, i) {
    socket.on('connect', () => { socket.emit('far:join', `r${i % 4}`, () => {}); });
    socket.on('disconnect', (reason) => { if (reason === 'io server disconnect') socket.connect(); });
    socket.onAny((event, ...args) => { if (typeof args.at(-1) === 'function') args.at(-1)('answer'); });
    for (let n = i; !this.over; n++) {
      const [name, request] = questions[n % questions.length];
      if (socket.connected) socket.emit(`far:${name}`, request, () => {});
      await pause(thought);
    }
  }

  async close() {
    this.over = true;
    await Promise.all(this.asking);
    for (const socket of this.sockets) socket.disconnect();
  }
}

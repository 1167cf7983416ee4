// Many clients that connect by polling and upgrade while messages flow.
import { check, equal, eventually, pause } from '../compare.mjs';
import { bePatient, far, upgraded } from '../user.mjs';

const flight = 5; // messages of each client that are under way until it is upgraded,
const most = 500; // at most in all,
const after = 10; // and behind that
const patience = 120_000;

/** One client: its echoes and the broadcasts that it got, checked as they come. */
class Member {
  constructor(socket) {
    Object.assign(this, { socket, flowing: true, sent: 0, echoed: 0, first: undefined, last: undefined, wrong: [] });
    socket.on('message-back', (n) => {
      if (n !== this.echoed) this.wrong.push(`echo ${n}, want ${this.echoed}`);
      this.echoed++;
      if (this.flowing && this.sent < most) this.say(1);
    });
    socket.on('news', (n) => {
      if (this.last !== undefined && n !== this.last + 1) this.wrong.push(`broadcast ${n} behind ${this.last}`);
      this.first ??= n;
      this.last = n;
    });
    socket.on('disconnect', (reason) => { this.wrong.push(`disconnect: ${reason}`); });
  }

  say(n) {
    for (let i = 0; i < n; i++) this.socket.emit('message', this.sent++);
  }

  /** Connects, talks, upgrades, talks. */
  async run(user) {
    this.say(flight);
    await user.ready(this.socket);
    await far(this.socket, 'join', 'storm');
    await upgraded(this.socket);
    this.flowing = false;
    this.say(after);
    await eventually(() => this.echoed === this.sent, `${this.sent} echoes (${this.echoed} came)`, patience);
  }
}

/** All at a time. */
export const atOnce = (user) => storm(user, user.clients);

/** Fifty at a time, the others being there already. */
export const inWaves = (user) => storm(user, 50);

/** None of the messages is lost, doubled or out of order. */
async function storm(user, wave) {
  bePatient(patience);
  user.options = { ...user.options, timeout: patience };
  const sender = await user.open('/', { transports: ['websocket'] });
  const members = [];
  let published = 0;
  let stop = false;
  const broadcast = () => far(sender, 'broadcast', { rooms: ['storm'], event: 'news', args: [published++] });
  const publish = (async () => {
    while (!stop) {
      await broadcast();
      await pause(10);
    }
  })();
  publish.catch(() => {}); // awaited below
  for (let i = 0; i < user.clients; i += wave) {
    const some = Array.from({ length: Math.min(wave, user.clients - i) }, () => new Member(user.dial('/')));
    members.push(...some);
    await Promise.all(some.map((m) => m.run(user)));
  }
  stop = true;
  await publish;
  await broadcast(); // one that all are there for
  const late = () => members.filter((m) => m.last !== published - 1);
  await eventually(() => late().length === 0, 'the last broadcast', patience).catch((e) => {
    const some = late().map((m) => `${m.socket.id} got ${m.first} to ${m.last} by ${m.socket.io.engine.transport.name}`);
    throw new Error(`${e.message}: ${published} were sent, and ${some.slice(0, 10).join('; ')}`);
  });
  const wrong = members.flatMap((m, i) => m.wrong.slice(0, 3).map((w) => `client ${i}: ${w}`));
  check(wrong.length === 0, `${wrong.length} mistakes: ${wrong.slice(0, 20).join('; ')}`);
  equal(new Set(members.map((m) => m.socket.id)).size, user.clients, 'ids');
  const { length } = await far(sender, 'fetch', { rooms: ['storm'] });
  equal(length, user.clients, 'members of the room');
}

// Many clients that connect by polling and upgrade while messages flow.
import { check, equal, eventually } from '../compare.mjs';
import { ask, far, upgraded } from '../user.mjs';

const wave = 50; // clients that connect at a time
const before = 10; // messages of each client before it is upgraded,
const after = 10; // and after
const patience = 120_000;

/** One client: its echoes and the broadcasts that it got, checked as they come. */
class Member {
  constructor(socket) {
    Object.assign(this, { socket, sent: 0, echoed: 0, first: undefined, last: undefined, wrong: [] });
    socket.on('message-back', (n) => {
      if (n !== this.echoed) this.wrong.push(`echo ${n}, want ${this.echoed}`);
      this.echoed++;
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
    this.say(before / 2);
    await user.ready(this.socket);
    await far(this.socket, 'join', 'storm');
    this.joined = true;
    this.say(before / 2);
    await upgraded(this.socket);
    this.say(after);
    await eventually(() => this.echoed === this.sent, `${this.sent} echoes (${this.echoed} came)`, patience);
  }
}

/** None of the messages is lost, doubled or out of order. */
export async function storm(user) {
  const sender = await user.open('/', { transports: ['websocket'] });
  const members = [];
  let published = 0;
  let stop = false;
  const publish = (async () => {
    while (!stop) { // the answer of one broadcast starts the next: about as fast as the server is
      await far(sender, 'broadcast', { rooms: ['storm'], event: 'news', args: [published++] });
      await new Promise((resolve) => { setTimeout(resolve, 20); });
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
  equal(await ask(sender, 'message-with-ack', 'end'), ['end'], 'the sender');
  await eventually(() => members.every((m) => m.last === published - 1), 'the last broadcast', patience);
  const wrong = members.flatMap((m, i) => m.wrong.slice(0, 3).map((w) => `client ${i}: ${w}`));
  check(wrong.length === 0, `${wrong.length} mistakes: ${wrong.slice(0, 20).join('; ')}`);
  equal(new Set(members.map((m) => m.socket.id)).size, user.clients, 'ids');
  const { length } = await far(sender, 'fetch', { rooms: ['storm'] });
  equal(length, user.clients, 'members of the room');
}

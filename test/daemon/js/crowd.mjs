// node crowd.mjs '<settings>'
//
// A crowd of Socket.IO clients in one room, for as long as its test wants them. A
// line of JSON on standard input asks for something ({do: name}), a line on standard
// output answers. settings: {url, clients, transports, cookies, options}: each client
// has an address, and a network of 24 bits, of its own, or with cookies one that all
// share and keeps what it is given.
import { Agent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';
import { eventually, within } from '../../socketio/js/compare.mjs';

const settings = JSON.parse(process.argv[2]);
const room = 'room/all';
const patience = 60_000;
const transports = { websocket: ['websocket'], polling: ['polling'], upgrade: ['polling', 'websocket'] };

/** One client and all that happened to it. */
class Member {
  constructor(i) {
    this.transport = settings.transports[i % settings.transports.length];
    this.agent = new (settings.url.startsWith('https:') ? SecureAgent : Agent)({ keepAlive: true, localAddress: settings.cookies ? '127.0.0.1' : `127.0.${(i % 250) + 1}.1` });
    this.notes = []; // [publisher, number] as they came
    this.heard = new Set(); // of the present round
    this.connects = []; // {at, recovered}
    this.disconnects = []; // {at, reason}
    this.joined = false;
    this.socket = io(settings.url, {
      transports: transports[this.transport], agent: this.agent, withCredentials: settings.cookies, forceNew: true,
      reconnectionDelay: 100, reconnectionDelayMax: 1000, ...settings.options,
    });
    this.socket.on('connect', () => this.enter());
    this.socket.on('connect_error', (e) => { this.refused = `${e.message} ${e.description?.message ?? e.description ?? ''}`; });
    this.socket.on('disconnect', (reason) => {
      this.joined = false;
      this.disconnects.push({ at: Date.now(), reason });
    });
    this.socket.on('say', (_, round, i) => this.heard.add(`${round} ${i}`));
    this.socket.on('note', (from, n) => this.notes.push([from, n]));
  }

  /** For messages: how it stands with it. */
  state() {
    const { connected, recovered } = this.socket;
    return {
      transport: this.transport, connected, recovered, joined: this.joined, by: this.socket.io.engine?.transport?.name,
      connects: this.connects.length, disconnects: this.disconnects, refused: this.refused,
    };
  }

  async enter() {
    this.connects.push({ at: Date.now(), recovered: this.socket.recovered });
    if (this.socket.recovered) {
      this.joined = true;
      return;
    }
    try {
      const answer = await this.socket.timeout(patience).emitWithAck('join', room);
      if (!answer.ok) throw new Error(JSON.stringify(answer));
      this.joined = true;
    } catch (e) {
      if (this.socket.connected) problems.push(`join: ${e.message}`);
    }
  }
}

const problems = [];
const members = Array.from({ length: settings.clients }, (_, i) => new Member(i));
let rounds = 0;

const asked = {
  /** Waits until everybody is in the room, by the transport that was asked for. */
  async ready() {
    const there = (m) => m.socket.connected && m.joined
      && (m.transport !== 'upgrade' || m.socket.io.engine.transport.name === 'websocket');
    try {
      await eventually(() => members.every(there), 'everybody in the room', patience);
    } catch (e) {
      const outside = members.filter((m) => !there(m));
      throw new Error(`${e.message}; ${outside.length} are not, such as ${JSON.stringify(outside.slice(0, 5).map((m) => m.state()))}`);
    }
    return {};
  },
  /** What each says to the room comes to all others, once: the relay acknowledges. */
  async say() {
    const round = ++rounds;
    await Promise.all(members.map(async (m, i) => {
      const answer = await m.socket.timeout(patience).emitWithAck('say', room, round, i);
      if (!answer.ok) throw new Error(JSON.stringify(answer));
    }));
    for (const [i, m] of members.entries()) {
      await eventually(() => members.every((_, j) => j === i || m.heard.has(`${round} ${j}`)), `client ${i} hears all`, patience);
      m.heard.clear();
    }
    return {};
  },
  /** Waits until everybody has a publisher's note. */
  async noted({ from, n }) {
    const has = (m) => m.notes.some((note) => note[0] === from && note[1] === n);
    await eventually(() => members.every(has), `note ${n} of ${from} (${members.filter((m) => !has(m)).length} lack it)`, patience);
    return {};
  },
  /** All that happened. */
  async report() {
    return { members: members.map(({ notes, connects, disconnects, transport }) => ({ notes, connects, disconnects, transport })) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = await within(asked[order.do](order), 2 * patience, order.do);
    if (problems.length > 0) throw new Error(problems.join('; '));
  } catch (e) {
    answer = { error: e.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
for (const m of members) {
  m.socket.close();
  m.agent.destroy();
}
process.exit(0);

// node presence.mjs '<settings>': {url, redis, server}
//
// What existing code for Node reads of users with ioredis, while a user of wsd comes,
// opens a second tab, and goes.
import Redis from 'ioredis';
import { io } from 'socket.io-client';
import { equal, eventually } from '../../socketio/js/compare.mjs';

const settings = JSON.parse(process.argv[2]);
const redis = new Redis(settings.redis);
const patience = 20_000;

const connect = () => new Promise((resolve, reject) => {
  const socket = io(settings.url, { transports: ['websocket'], auth: { userId: 'ann' }, forceNew: true });
  socket.on('connect', () => resolve(socket));
  socket.on('connect_error', reject);
});

const before = Date.now();
const first = await connect();
await eventually(async () => await redis.hget('user:connections', 'ann') === settings.server, 'the server of ann', patience);
const user = await redis.hgetall('user:ann');
equal(Object.keys(user).sort(), ['connectedAt', 'serverId', 'socketId', 'status'], 'fields of user:ann');
equal([user.serverId, user.socketId, user.status], [settings.server, first.id, 'online'], 'user:ann');
const at = Number(user.connectedAt);
equal(at > before - 60_000 && at < Date.now() + 60_000, true, `connectedAt ${user.connectedAt} in milliseconds`);

const second = await connect();
await eventually(async () => await redis.hget('user:ann', 'socketId') === second.id, 'the newest tab', patience);
second.close();
await eventually(async () => await redis.hget('user:ann', 'socketId') === first.id, 'the tab that is left', patience);
equal(await redis.hget('user:connections', 'ann'), settings.server, 'ann is still online');
first.close();
await eventually(async () => await redis.hexists('user:connections', 'ann') === 0 && await redis.exists('user:ann') === 0, 'ann is gone', patience);
redis.disconnect();
process.exit(0);

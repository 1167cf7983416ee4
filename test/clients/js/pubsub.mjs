// node pubsub.mjs <origin of a server that restarts> <origin of another> <guarded> <secret>
//
// The client for browsers, in a page of Chromium: nothing of a topic that keeps
// history is lost or comes twice while its server restarts; tokens are renewed.
// Prints "restart" when the server is to be ended and started again, and at last the
// problems as a JSON list.
import { createHmac } from 'node:crypto';
import { WebSocket } from 'ws';
import { withChromium } from './chromium.mjs';

const [origin, other, guarded, secret] = process.argv.slice(2);
const timeout = 60_000;
const total = 600;
const problems = [];

async function open(context, url) {
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  page.on('pageerror', (e) => problems.push(`${url}: ${e}`));
  await page.goto(`${url}/health`);
  await page.addScriptTag({ url: `${url}/pubsub/client.js` });
  return page;
}

async function restart(context) {
  const page = await open(context, origin);
  const members = await page.evaluate(async () => {
    globalThis.got = [];
    globalThis.events = [];
    globalThis.ps = new WsdPubsub('/pubsub', { minDelay: 50, maxDelay: 500, onclose: (e) => events.push({ closed: e.code }) });
    const sub = ps.subscribe('log/page', {
      message: (data, { offset }) => got.push([data, offset]),
      gap: (e) => events.push(e),
      subscribed: (e) => events.push({ recovered: e.recovered }),
      join: (e) => events.push(e),
      leave: (e) => events.push(e),
    });
    return (await sub.ready).members;
  });
  if (members.length !== 1) problems.push(`members: ${JSON.stringify(members)}`);

  const publisher = new WebSocket(`${other.replace('http', 'ws')}/topics/log/page?mode=pub`);
  await new Promise((resolve, reject) => { publisher.on('open', resolve).on('error', reject); });
  const publish = async (from, to) => {
    for (let i = from; i <= to; i++) {
      publisher.send(String(i));
      if (i % 10 === 0) await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  };
  await publish(1, total / 3);
  await page.waitForFunction((n) => got.length >= n, total / 6);
  const running = publish(total / 3 + 1, total);
  console.log('restart');
  await running;
  await page.waitForFunction((n) => got.length >= n, total);
  // It was another server that the last ones came from, and it takes publications.
  await page.waitForFunction(() => events.some((e) => e.recovered));
  const answer = await page.evaluate(async () => ({
    ok: await ps.publish('log/page', { last: true }),
    bytes: await ps.publish('log/bytes', new Uint8Array([0, 255])),
    members: await ps.presence('log/page'),
    refused: await ps.publish('log/page', 'x'.repeat(17 << 10)).catch((e) => e.code),
  }));
  await page.waitForFunction((n) => got.length > n, total);
  const { got, events } = await page.evaluate(() => ({ got: globalThis.got, events: globalThis.events }));
  publisher.close();
  const numbers = got.slice(0, total).map(([n]) => n);
  if (numbers.some((n, i) => n !== i + 1)) problems.push(`not in order, or not once: ${numbers}`);
  if (got[total][1] !== answer.ok.offset) problems.push(`offset ${got[total][1]}, acknowledged ${answer.ok.offset}`);
  if (!answer.bytes.offset || answer.refused !== 'too_large' || answer.members.total < 1) problems.push(JSON.stringify(answer));
  if (events.some((e) => e.op === 'gap')) problems.push(`a gap: ${JSON.stringify(events)}`);
  if (!events.some((e) => e.closed)) problems.push('the connection did not end');

  // Joins and leaves, of another page.
  const second = await open(context, other);
  await second.evaluate(async () => {
    globalThis.ps = new WsdPubsub('/pubsub');
    await ps.subscribe('log/page').ready;
  });
  await page.waitForFunction(() => events.some((e) => e.op === 'join'));
  await second.evaluate(() => ps.close());
  await page.waitForFunction(() => events.some((e) => e.op === 'leave'));
  await page.evaluate(() => ps.close());
}

function mint(seconds) {
  const part = (v) => Buffer.from(JSON.stringify(v)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({
    sub: 'ann', exp: Math.floor(Date.now() / 1000) + seconds, allow: { subscribe: ['*'], publish: ['*'] },
  })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

async function renewal(context) {
  const page = await open(context, guarded);
  let minted = 0;
  await page.exposeFunction('mint', () => { minted++; return mint(6); });
  await page.evaluate(async () => {
    globalThis.opened = 0;
    globalThis.ps = new WsdPubsub('/pubsub', { token: () => mint(), onopen: () => opened++ });
    await ps.subscribe('t').ready;
  });
  while (minted < 4) await new Promise((resolve) => { setTimeout(resolve, 50); });
  const opened = await page.evaluate(async () => { await ps.publish('t', 1); return globalThis.opened; });
  if (opened !== 1) problems.push(`connected ${opened} times in spite of new tokens`);
  await page.evaluate(() => ps.close());
}

try {
  await withChromium(async (context) => {
    await restart(context);
    await renewal(context);
  });
} catch (e) {
  problems.push(String(e));
}
console.log(JSON.stringify(problems));
process.exit(problems.length === 0 ? 0 : 1);

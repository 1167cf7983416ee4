// node run.mjs <client> <check> <target>...
//
// Runs a check of checks.mjs with one client against targets (JSON) and prints
// the problems as a JSON list. client: ws, undici or chromium; the environment
// names Chromium's program and a new folder for its profile.
import { readFile } from 'node:fs/promises';
import { WebSocket as NodeWebSocket } from 'ws';
import { WebSocket as UndiciWebSocket } from 'undici';
import { withChromium } from './chromium.mjs';
import * as checks from './checks.mjs';

const [client, check, ...targets] = process.argv.slice(2);
const ready = () => { console.log('ready'); };

/** ws has what browsers do not show: pings, and a way not to offer compression. */
async function runWs(target) {
  class WebSocket extends NodeWebSocket {
    constructor(url) { super(url, { perMessageDeflate: !target.plain }); }
  }
  const problems = await checks[check](WebSocket, target, ready);
  if (check === 'checks') problems.push(...await pings(target));
  return problems;
}

async function pings({ url }) {
  const socket = new NodeWebSocket(`${url}/echo`);
  await new Promise((resolve, reject) => { socket.on('open', resolve).on('error', reject); });
  const problems = [];
  for (const payload of ['', 'ping', 'x'.repeat(125)]) {
    const pong = new Promise((resolve) => { socket.once('pong', resolve); });
    socket.ping(payload);
    const got = (await pong).toString();
    if (got !== payload) problems.push(`pong "${got}", want "${payload}"`);
  }
  socket.terminate();
  return problems;
}

const runUndici = (target) => checks[check](UndiciWebSocket, target, ready);

/** Runs the check in a page of the target's own origin, or of target.origin. */
async function runChromium(page, source, target) {
  const origin = target.origin ?? target.url.replace('ws:', 'http:');
  await page.goto(`${origin}/health`);
  return page.evaluate(async ({ source, check, target }) => {
    const module = await import(`data:text/javascript;base64,${source}`);
    return module[check](WebSocket, target, () => globalThis.ready());
  }, { source, check, target });
}

async function inPage(run) {
  const source = await readFile(new URL('checks.mjs', import.meta.url), 'base64');
  await withChromium(async (context) => {
    const page = await context.newPage();
    await page.exposeFunction('ready', ready);
    await run((target) => runChromium(page, source, target));
  });
}

const problems = [];
async function all(run) {
  for (const json of targets) {
    const target = JSON.parse(json);
    for (const p of await run(target)) problems.push(`${target.name}: ${p}`);
  }
}

if (client === 'chromium') await inPage(all);
else if (client === 'ws') await all(runWs);
else if (client === 'undici') await all(runUndici);
else throw new Error(`unknown client ${client}`);
console.log(JSON.stringify(problems));
process.exit(problems.length === 0 ? 0 : 1);

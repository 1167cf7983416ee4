// node dashboard.mjs <public origin> <admin origin> <admin origin of a server with a token> <token>
//
// The dashboard in pages of Chromium. Prints "ready" when the first server may go, and
// at last the problems as a JSON list.
import { WebSocket } from 'ws';
import { withChromium } from './chromium.mjs';

const [origin, admin, guarded, token] = process.argv.slice(2);
const timeout = 30_000;
const problems = [];
const hostile = '<img src=x onerror="document.title=1">';

async function open(context, url) {
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  page.on('pageerror', (e) => problems.push(`${url}: ${e}`));
  page.on('console', (m) => {
    // What the server refuses, or that it is gone, is told as an error too.
    if (m.type() === 'error' && !m.text().startsWith('Failed to load resource')) problems.push(`${url}: ${m.text()}`);
  });
  await page.goto(url);
  return page;
}

const opened = (ws) => new Promise((resolve, reject) => { ws.on('open', resolve).on('error', reject); });

async function subscribe(topic) {
  const ws = new WebSocket(`${origin.replace('http', 'ws')}/topics/${encodeURIComponent(topic)}`);
  await opened(ws);
  return ws;
}

// A Socket.IO client by hand: it opens, connects, joins.
async function join(room) {
  const ws = new WebSocket(`${origin.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
  await new Promise((resolve, reject) => {
    ws.on('error', reject).on('message', (data) => {
      const text = String(data);
      if (text[0] === '0') ws.send('40');
      else if (text.startsWith('40')) ws.send(`420${JSON.stringify(['join', room])}`);
      else if (text.startsWith('430')) resolve();
    });
  });
  return ws;
}

const connections = (page, n) => page.locator('article', { has: page.getByRole('heading', { name: 'Connections' }) })
  .locator('.value b', { hasText: new RegExp(`^${n}$`) }).waitFor();

async function figures(page) {
  await connections(page, 0);
  const clients = [await subscribe('news'), await subscribe(hostile), await join(hostile)];
  await connections(page, 3);
  await page.locator('#topics td', { hasText: 'news' }).waitFor();
  for (const table of ['#topics', '#rooms']) await page.locator(`${table} td`, { hasText: hostile }).waitFor();
  if (await page.locator('img').count()) problems.push('a name is HTML');
  if (!(await page.title()).endsWith(' · wsd')) problems.push(`the title is ${await page.title()}`);
  for (const width of [1280, 400]) {
    await page.setViewportSize({ width, height: 800 });
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (beyond > 0) problems.push(`at ${width} px the page is ${beyond} px too wide`);
  }
  for (const c of clients) c.close();
  await connections(page, 0);
}

async function withToken(context) {
  const page = await open(context, `${guarded}/`);
  await page.fill('#token', 'a wrong one');
  await page.press('#token', 'Enter');
  await page.locator('#wrong', { hasText: 'does not take' }).waitFor();
  if (await page.locator('#main').isVisible()) problems.push('figures without the token');
  await page.fill('#token', token);
  await page.press('#token', 'Enter');
  await connections(page, 0);
  await page.reload();
  await connections(page, 0); // it was kept
  await page.click('#forget');
  await page.locator('#login').waitFor();
  await page.reload();
  await page.locator('#login').waitFor();
}

try {
  await withChromium(async (context) => {
    const page = await open(context, `${admin}/`);
    await figures(page);
    await withToken(context);
    await page.bringToFront();
    console.log('ready');
    await page.locator('#gone', { hasText: 'No word from the server since' }).waitFor();
  });
} catch (e) {
  problems.push(String(e));
}
console.log(JSON.stringify(problems));
process.exit(problems.length === 0 ? 0 : 1);

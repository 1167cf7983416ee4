// node chat.mjs <origin> <origin of a server that asks for tokens> <token>
//
// The start page's chat, in pages of Chromium. Prints the problems as a JSON list.
import { WebSocket } from 'ws';
import { withChromium } from './chromium.mjs';

const [origin, guarded, token] = process.argv.slice(2);
const timeout = 30_000;
const problems = [];

async function open(context, url) {
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  page.on('console', (m) => { if (m.type() === 'error') problems.push(`${url}: ${m.text()}`); });
  page.on('pageerror', (e) => problems.push(`${url}: ${e}`));
  await page.goto(url);
  return page;
}

const connected = (page) => page.locator('#state.open').waitFor();
const line = (page, text, className = '') => page.locator(`#log li${className}`, { hasText: text }).waitFor();

async function say(page, name, text) {
  await page.fill('#name', name);
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

async function twoPages(context) {
  const start = await open(context, `${origin}/`);
  const [ann] = await Promise.all([context.waitForEvent('page'), start.click('text=Open the chat')]);
  const bob = await open(context, `${origin}/chat`);
  await Promise.all([connected(ann), connected(bob)]);
  await say(ann, 'ann', 'hello <img src=x onerror="document.title=1">');
  await line(bob, 'hello <img');
  await line(ann, 'hello <img', '.mine');
  await say(bob, 'bob', 'hello yourself');
  await line(ann, 'hello yourself');
  if (await bob.locator('#log img').count()) problems.push('a message is HTML');
  if (!await bob.locator('#log b', { hasText: 'ann' }).count()) problems.push('no sender');

  const other = new WebSocket(`${origin.replace('http', 'ws')}/topics/chat?mode=pub`);
  await new Promise((resolve, reject) => { other.on('open', resolve).on('error', reject); });
  other.send('no JSON at all');
  await line(ann, 'no JSON at all');
  other.close();
}

async function withToken(context) {
  const page = await open(context, `${guarded}/chat`);
  await line(page, 'asks for tokens', '.note');
  if (!await page.locator('#token').isVisible()) problems.push('no place for a token');
  await page.fill('#token', token);
  await page.click('text=Connect');
  await connected(page);
  await say(page, 'ann', 'let in');
  await line(page, 'let in', '.mine');
}

try {
  await withChromium(async (context) => {
    await twoPages(context);
    if (token) await withToken(context);
  });
} catch (e) {
  problems.push(String(e));
}
console.log(JSON.stringify(problems));
process.exit(problems.length === 0 ? 0 : 1);

// node chat.mjs URL
//
// Two pages of the documentation's chat: what one says, both show.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const url = process.argv[2];
const profile = mkdtempSync(join(tmpdir(), 'chat-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ['--no-sandbox'],
  timeout: 60_000,
});
try {
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    await page.goto(url);
    await page.waitForFunction(() => socket.connected, null, { timeout: 20_000 });
  }
  await pages[0].fill('input', 'hello <b>all</b>');
  await pages[0].click('button');
  for (const page of pages) {
    const item = page.locator('#said li');
    await item.waitFor({ timeout: 20_000 });
    const text = await item.textContent();
    if (text !== 'hello <b>all</b>') throw new Error(`the page shows ${text}`);
  }
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

// The chat page of docs/examples in two windows.
import { equal, eventually } from '../compare.mjs';

const said = (page) => page.locator('li').allTextContents();

export async function everybodyHears({ pages, url }) {
  for (const page of pages) {
    const polled = page.waitForResponse((r) => r.url().includes('transport=polling'));
    await page.goto(url);
    await polled;
  }
  const texts = ['hello', '<b>no markup</b> & \u{1f600}', 'a third'];
  for (const [i, text] of texts.entries()) {
    await pages[i % 2].locator('input').fill(text);
    await pages[i % 2].locator('input').press('Enter');
    for (const page of pages) await eventually(async () => (await said(page)).length > i, `text ${i} in a page`);
  }
  for (const page of pages) equal(await said(page), texts, 'what a page shows');
}

// Headless Chromium. The environment names its program and a new folder for its
// profile.
import { chromium } from 'playwright-core';

/** Starts Chromium and calls run(context). */
export async function withChromium(run) {
  const context = await chromium.launchPersistentContext(process.env.WSD_CHROMIUM_PROFILE, {
    executablePath: process.env.WSD_CHROMIUM,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  try {
    await run(context);
  } finally {
    await context.close();
  }
}

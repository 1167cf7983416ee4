// Chromium, and the pages that it shows. The environment names its program and
// a new folder for its profile.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const dist = (name) => join(dirname(require.resolve(`${name}/package.json`)), 'dist');

/** The bundles that the packages bring for browsers. */
const bundles = {
  4: () => join(dist('socket.io-client'), 'socket.io.min.js'),
  msgpack: () => join(dist('socket.io-client'), 'socket.io.msgpack.min.js'),
  2: () => join(dist('client2'), 'socket.io.js'),
};

const here = dirname(fileURLToPath(import.meta.url));

async function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://page');
  const [, folder, ...names] = pathname.split('/');
  let [type, body] = ['text/javascript', ''];
  if (folder === 'page') {
    type = 'text/html';
    body = `<!doctype html><meta charset="utf-8"><script src="/client/${searchParams.get('client')}"></script>`;
  } else if (folder === 'client') body = await readFile(bundles[names[0]]());
  else if (folder === 'js') body = await readFile(join(here, ...names));
  response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(body);
}

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

/** Serves pages at a port and calls run(open): open(host, path, report) opens one that can report. */
export async function inPages(port, run) {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => { response.writeHead(404).end(); });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  try {
    await withChromium((context) => run(async (host, path, report) => {
      const page = await context.newPage();
      await page.exposeFunction('report', report);
      await page.goto(`http://${host}:${port}${path}`);
      return page;
    }));
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

// The benchmark's echo and publish server on Bun: bun bun.mjs PORT off|shared
const [port, compression = 'off'] = process.argv.slice(2);
const compress = compression !== 'off';

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  fetch(request, server) {
    const { pathname } = new URL(request.url);
    const topic = pathname.startsWith('/topics/') ? pathname.slice('/topics/'.length) : '';
    if (server.upgrade(request, { data: { topic } })) return undefined;
    return new Response('not a WebSocket request\n', { status: 400 });
  },
  websocket: {
    perMessageDeflate: compress ? { compress: 'shared', decompress: 'shared' } : false,
    maxPayloadLength: 16 * 1024 + 64,
    idleTimeout: 60,
    backpressureLimit: 64 * 1024 * 1024,
    open(ws) {
      if (ws.data.topic) ws.subscribe(ws.data.topic);
    },
    message(ws, message) {
      if (ws.data.topic) ws.publish(ws.data.topic, message, compress);
      else ws.send(message, compress);
    },
  },
});

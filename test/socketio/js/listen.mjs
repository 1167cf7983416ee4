/** Listens, prints ready, and ends with SIGTERM. */
export function run(http, io, { host, port }) {
  http.keepAliveTimeout = 60_000;
  http.listen({ host, port, backlog: 4096 }, () => { console.log('ready'); });
  process.once('SIGTERM', () => {
    io.close();
    http.closeAllConnections();
    setTimeout(() => process.exit(0), 50);
  });
}

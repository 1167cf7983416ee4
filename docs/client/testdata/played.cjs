// The client with a server that a script plays: sent is what the client has said,
// receive what it hears.
const sent = [];
let socket;
globalThis.WebSocket = class {
  constructor() { socket = this; }
  send(text) { sent.push(JSON.parse(text)); }
  close() {}
};
const receive = (m) => socket.onmessage({ data: JSON.stringify(m) });

module.exports = { WsdPubsub: require("../wsd-pubsub.js"), sent, receive };

// wsd-pubsub.js: client of the protocol wsd.json.v1 for browsers and Node 22, without
// dependencies. docs/protocol.md of wsd describes the protocol.
//
//   const ps = new WsdPubsub("/pubsub", { token: async () => (await fetch("/token")).text() });
//   const sub = ps.subscribe("news", {
//     message(data, { offset }) { ... },      // bytes come as a Uint8Array
//     gap({ reason, lost }) { ... },          // messages are missing
//     subscribed({ recovered, members }) {},  // after each connection
//     // Any of these asks for presence: who is there, after each connection and when
//     // joins or leaves were missed, and then who comes and goes, perhaps twice.
//     present({ members, total }) {},
//     join({ user, connection }) {}, leave({ user, connection }) {},
//     error({ code, message }) {},            // refused; the subscription has ended
//   });
//   await sub.ready;
//   await ps.publish("news", { any: "JSON" });  // resolves when the broker has it
//   sub.unsubscribe();
//   ps.close();
//
// It connects again with back-off and jitter, subscribes again from where it left off,
// brings a fresh token before the old one ends, and notices a dead connection.
(function (root) {
  "use strict";

  const defaults = {
    token: null,          // function that returns a token, or a promise of one
    minDelay: 500,        // ms before the second attempt to connect
    maxDelay: 30000,      // ms between attempts at most
    timeout: 20000,       // ms until a request without an answer has failed
    maxWaiting: 1000,     // requests that wait for a connection or an answer
    renewBefore: 30000,   // ms before a token ends that the next one is asked for
    onopen() {},          // ({ server, connection }) connected
    onclose() {},         // ({ code, reason, delay }) will connect again in delay ms
    onerror(e) { console.error(e); }, // a callback has thrown, or a token was refused
  };

  class WsdError extends Error {
    constructor(code, message) {
      super(message);
      this.name = "WsdError";
      this.code = code; // of the protocol, or: disconnected, timeout, closed
    }
  }

  class WsdPubsub {
    constructor(url, options) {
      this.url = absolute(url);
      this.options = { ...defaults, ...options };
      this.server = this.connection = null;
      this._subs = new Map();     // by topic
      this._requests = new Map(); // by id: sent, or waiting for a connection
      this._id = 0;
      this._attempts = 0;
      this._open = this._closed = false;
      this._online = () => { if (this._retry) { this._attempts = 0; this._connect(); } };
      if (root.addEventListener) root.addEventListener("online", this._online);
      this._connect();
    }

    // subscribe returns a subscription: { topic, ready, offset, unsubscribe() }. With
    // handlers.offset it begins behind that message; "0-0" is before the first one.
    subscribe(topic, handlers = {}) {
      if (this._subs.has(topic)) throw new WsdError("bad_request", "subscribed already: " + topic);
      const sub = {
        topic, handlers, offset: handlers.offset ?? null,
        changes: null, // of presence, by connection, while the server is asked
        reading: null, // the connection on which it is to be asked
        unsubscribe: () => this._unsubscribe(sub),
      };
      sub.ready = new Promise((resolve, reject) => { sub._resolve = resolve; sub._reject = reject; });
      sub.ready.catch(() => {}); // whoever wants to know awaits it
      this._subs.set(topic, sub);
      if (this._open) this._subscribe(sub);
      return sub;
    }

    // publish sends JSON, or bytes. While there is no connection it waits for one. When
    // the connection ends before the answer, the promise fails with the code
    // "disconnected": the message may have arrived or not.
    publish(topic, data) {
      const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
      return this._request(bytes instanceof Uint8Array
        ? { op: "publish", topic, base64: toBase64(bytes) }
        : { op: "publish", topic, data: data === undefined ? null : data });
    }

    // presence returns { members: [{ user, connection }], total }.
    presence(topic) {
      return this._request({ op: "presence", topic });
    }

    close() {
      if (this._closed) return;
      this._closed = true;
      if (root.removeEventListener) root.removeEventListener("online", this._online);
      this._stop();
      if (this._ws) this._ws.close(1000);
      this._ws = null;
      this._fail(this._requests, new WsdError("closed", "the client was closed"));
      for (const sub of this._subs.values()) sub._reject(new WsdError("closed", "the client was closed"));
      this._subs.clear();
    }

    async _connect() {
      this._stop();
      this._attempts++;
      const attempt = this._attempt = {}; // a later one takes its place
      const protocols = ["wsd.json.v1"];
      let ws;
      try {
        if (this.options.token) {
          const token = await this.options.token();
          if (token) protocols.push("bearer." + token);
          this._expires = expiry(token);
        }
        if (this._attempt !== attempt || this._closed) return;
        ws = this._ws = new WebSocket(this.url, protocols); // throws where the token is none
      } catch (e) {
        this.options.onerror(e);
        if (this._attempt === attempt && !this._closed) this._again({ code: 0, reason: "no token" });
        return;
      }
      const late = setTimeout(() => this._lost(ws, { code: 0, reason: "timeout" }), this.options.timeout);
      ws.onmessage = (e) => {
        if (ws !== this._ws) return;
        this._heard = Date.now();
        let m;
        try { m = JSON.parse(e.data); } catch (err) { this.options.onerror(err); return; }
        if (m.op === "hello") clearTimeout(late);
        this._receive(m);
      };
      ws.onclose = (e) => { clearTimeout(late); this._lost(ws, e); };
    }

    // _lost goes on when a connection has ended.
    _lost(ws, e) {
      if (ws !== this._ws) return;
      ws.onclose = ws.onmessage = null;
      ws.close();
      this._ws = null;
      this._open = false;
      this._stop();
      const sent = new Map([...this._requests].filter(([, r]) => r.sent));
      this._fail(sent, new WsdError("disconnected", "the connection ended before the answer"));
      this._again(e);
    }

    _again({ code, reason }) {
      const most = Math.min(this.options.maxDelay, this.options.minDelay * 2 ** Math.min(this._attempts - 1, 16));
      const delay = Math.round(most / 2 + Math.random() * most / 2);
      this._retry = setTimeout(() => this._connect(), delay);
      this._call(this.options.onclose, { code, reason, delay });
    }

    _stop() {
      clearTimeout(this._retry);
      clearInterval(this._watchdog);
      clearTimeout(this._renewal);
      this._retry = this._watchdog = this._renewal = null;
    }

    _receive(m) {
      const sub = m.topic === undefined ? undefined : this._subs.get(m.topic);
      switch (m.op) {
        case "hello":
          this._opened(m);
          return;
        case "ok":
        case "error": {
          const r = this._requests.get(m.id);
          if (r) {
            this._requests.delete(m.id);
            clearTimeout(r.timer);
            if (m.op === "ok") r.resolve(m);
            else r.reject(new WsdError(m.code, m.message));
          } else if (m.op === "error" && m.id === undefined) { // else nobody waits for it any more
            if (sub) this._ended(sub, m);
            else if (m.code !== "expired") this.options.onerror(new WsdError(m.code, m.message));
          }
          return;
        }
        case "message":
          if (!sub) return;
          if (m.offset !== undefined) sub.offset = m.offset;
          this._call(sub.handlers.message, m.base64 === undefined ? m.data : fromBase64(m.base64), { topic: m.topic, offset: m.offset });
          return;
        case "gap":
          if (!sub) return;
          if (!m.presence || m.lost !== 0) this._call(sub.handlers.gap, m);
          if (m.presence) this._readPresence(sub);
          return;
        case "join": case "leave":
          if (!sub) return;
          if (sub.changes) sub.changes.set(m.connection, m);
          this._call(sub.handlers[m.op], m);
      }
    }

    _opened(hello) {
      this._open = true;
      this._attempts = 0;
      this.server = hello.server;
      this.connection = hello.connection;
      this._watch(hello.ping * 1000);
      this._scheduleRenewal();
      for (const sub of this._subs.values()) this._subscribe(sub);
      for (const r of this._requests.values()) if (!r.sent) this._send(r);
      this._call(this.options.onopen, { server: hello.server, connection: hello.connection });
    }

    // _watch asks a quiet server whether it is there.
    _watch(ping) {
      const ws = this._ws;
      let asked = 0;
      this._watchdog = setInterval(() => {
        const quiet = Date.now() - this._heard;
        if (quiet < ping) { asked = 0; return; }
        if (asked && Date.now() - asked >= Math.min(ping, 10000)) {
          this._lost(ws, { code: 0, reason: "the server does not answer" });
        } else if (!asked) {
          asked = Date.now();
          ws.send('{"op":"ping","id":0}');
        }
      }, Math.max(250, Math.min(ping / 4, 2000)));
    }

    _scheduleRenewal() {
      if (!this._expires) return;
      const left = this._expires - Date.now();
      const wait = Math.max(1000, Math.min(left - this.options.renewBefore, 2 ** 31 - 1));
      this._renewal = setTimeout(() => this._renew(), left < 2 * this.options.renewBefore ? Math.max(250, left / 2) : wait);
    }

    async _renew() {
      const ws = this._ws;
      try {
        const token = await this.options.token();
        if (ws !== this._ws || !this._open) return;
        await this._request({ op: "auth", token });
        this._expires = expiry(token);
      } catch (e) {
        this.options.onerror(e);
      }
      if (ws === this._ws && this._open) this._scheduleRenewal();
    }

    _subscribe(sub) {
      const h = sub.handlers;
      const ws = this._ws;
      sub.reading = null;
      const changes = sub.changes = new Map(); // who came and went since the request
      this._request({
        op: "subscribe", topic: sub.topic,
        presence: h.join || h.leave || h.present ? true : undefined,
        recover: sub.offset === null ? undefined : { offset: sub.offset },
      }, 0, sub).then((m) => {
        if (this._subs.get(sub.topic) !== sub) return;
        if (m.offset !== undefined) sub.offset = m.offset;
        if (sub.changes === changes) this._present(sub, m);
        sub._resolve(m);
        this._call(h.subscribed, m);
      }, (e) => {
        if (this._subs.get(sub.topic) !== sub || e.code === "disconnected") return;
        // What may be better in a moment is tried again.
        if (e.code === "unavailable" || e.code === "limit") {
          setTimeout(() => {
            if (ws === this._ws && this._subs.get(sub.topic) === sub) this._subscribe(sub);
          }, this.options.minDelay * (1 + Math.random()));
          return;
        }
        this._ended(sub, e);
      });
    }

    // _readPresence asks who is there, because joins or leaves were missed: soon, and
    // not when all others do who have missed the same.
    _readPresence(sub) {
      const ws = this._ws;
      if (sub.reading === ws) return;
      sub.reading = ws;
      setTimeout(() => {
        if (sub.reading !== ws) return;
        sub.reading = null;
        if (ws !== this._ws || this._subs.get(sub.topic) !== sub) return; // the next connection tells
        const changes = sub.changes = new Map();
        this.presence(sub.topic).then((m) => {
          if (sub.changes === changes && this._subs.get(sub.topic) === sub) this._present(sub, m);
        }, (e) => {
          if (sub.changes !== changes || ws !== this._ws || this._subs.get(sub.topic) !== sub) return;
          if (["unavailable", "limit", "timeout"].includes(e.code)) this._readPresence(sub);
          else this.options.onerror(e);
        });
      }, this.options.minDelay * (1 + Math.random()));
    }

    // _present tells who is there: as the server has said, which may not know yet, or
    // not any more, what came while it was asked.
    _present(sub, m) {
      const { changes } = sub;
      sub.changes = null;
      if (!m.members) return;
      m.members = m.members.filter(({ connection }) => !changes.has(connection));
      for (const c of changes.values()) {
        if (c.op === "join") m.members.push({ user: c.user, connection: c.connection });
      }
      m.total = Math.max(m.total, m.members.length);
      this._call(sub.handlers.present, { members: m.members, total: m.total });
    }

    // _ended ends a subscription that the server has refused.
    _ended(sub, e) {
      this._subs.delete(sub.topic);
      sub._reject(e instanceof Error ? e : new WsdError(e.code, e.message));
      this._call(sub.handlers.error || this.options.onerror, e);
    }

    _unsubscribe(sub) {
      if (this._subs.get(sub.topic) !== sub) return;
      this._subs.delete(sub.topic);
      const e = new WsdError("closed", "unsubscribed");
      sub._reject(e);
      this._fail([...this._requests].filter(([, r]) => r.sub === sub), e);
      if (this._open) this._ws.send(JSON.stringify({ op: "unsubscribe", topic: sub.topic }));
    }

    // _request sends a request, or has it wait for a connection. sub is the subscription
    // that it begins.
    _request(body, timeout = this.options.timeout, sub = null) {
      if (this._closed) return Promise.reject(new WsdError("closed", "the client was closed"));
      if (this._requests.size >= this.options.maxWaiting) return Promise.reject(new WsdError("limit", "too many requests wait"));
      return new Promise((resolve, reject) => {
        const r = { id: ++this._id, body, sub, resolve, reject, sent: false };
        if (timeout) {
          r.timer = setTimeout(() => {
            this._requests.delete(r.id);
            reject(new WsdError("timeout", "no answer"));
          }, timeout);
        }
        this._requests.set(r.id, r);
        if (this._open) this._send(r);
      });
    }

    _send(r) {
      r.sent = true;
      this._ws.send(JSON.stringify({ ...r.body, id: r.id }));
    }

    _fail(requests, e) {
      for (const [id, r] of requests) {
        this._requests.delete(id);
        clearTimeout(r.timer);
        r.reject(e);
      }
    }

    _call(fn, ...args) {
      if (!fn) return;
      try { fn(...args); } catch (e) { this.options.onerror(e); }
    }
  }

  function absolute(url) {
    const u = new URL(url, root.location ? root.location.href : undefined);
    u.protocol = u.protocol.replace("http", "ws");
    return u.href;
  }

  // expiry is when a JWT ends, in ms; 0: never, or it is none.
  function expiry(token) {
    try {
      const claims = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
      return JSON.parse(atob(claims)).exp * 1000 || 0;
    } catch { return 0; }
  }

  function toBase64(bytes) {
    let s = "";
    for (let i = 0; i < bytes.length; i += 4096) s += String.fromCharCode(...bytes.subarray(i, i + 4096));
    return btoa(s);
  }

  function fromBase64(text) { return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)); }

  WsdPubsub.Error = WsdError;
  root.WsdPubsub = WsdPubsub;
  if (typeof module === "object" && module.exports) module.exports = WsdPubsub;
})(typeof globalThis === "object" ? globalThis : self);

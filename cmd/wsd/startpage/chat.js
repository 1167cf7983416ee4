'use strict';
// A chat on a plain WebSocket to /topics/chat. What is said is JSON, {from, text};
// anything else that is published there is shown as it is.
const url = location.origin.replace(/^http/, 'ws') + '/topics/chat?self=1';
const keep = 500; // messages shown
const pauses = [500, 1000, 2000, 5000, 10000]; // before connecting again, in ms

const $ = (id) => document.getElementById(id);
const log = $('log');
const me = Math.random().toString(36).slice(2);
const wantsToken = document.body.dataset.token === 'needed';
let ws, token, failures = 0, retry;

$('name').value = 'guest-' + me.slice(0, 4);

function add(className, from, text) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const li = document.createElement('li');
  li.className = className;
  if (from) li.append(Object.assign(document.createElement('b'), { textContent: from }));
  li.append(text);
  if (from) li.append(Object.assign(document.createElement('time'), { textContent: new Date().toLocaleTimeString() }));
  log.append(li);
  while (log.childElementCount > keep) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function state(name, text) {
  $('state').className = name;
  $('state').textContent = text;
  document.querySelector('#say button').disabled = name !== 'open';
}

function show(data) {
  let said = null;
  try { said = JSON.parse(data); } catch { /* plain text */ }
  if (said && typeof said === 'object' && typeof said.text === 'string') {
    add(said.id === me ? 'mine' : '', String(said.from || 'somebody').slice(0, 40), said.text);
  } else {
    add('', 'topic', data);
  }
}

// A browser does not tell why a handshake failed; asking by HTTP tells the rest. With
// askAgain it was about this client, and not about the server.
async function explain() {
  try {
    if (!(await fetch('/health', { cache: 'no-store' })).ok) return { why: 'the server is about to end' };
  } catch {
    return { why: 'the server is not reached' };
  }
  return wantsToken ? { why: 'the token was not taken', askAgain: true }
    : { why: 'the server refuses this page: it may be full, ask for a token, or not have ' + location.origin + ' in --origins' };
}

function connect() {
  clearTimeout(retry);
  let opened = false;
  state('', 'connecting');
  ws = token ? new WebSocket(url, ['bearer.' + token]) : new WebSocket(url);
  ws.binaryType = 'arraybuffer';
  ws.onopen = () => {
    opened = true;
    failures = 0;
    state('open', 'connected');
    $('access').hidden = true;
    $('text').focus();
  };
  ws.onmessage = ({ data }) => show(typeof data === 'string' ? data : data.byteLength + ' bytes');
  ws.onclose = async ({ code, reason }) => {
    const { why, askAgain } = opened ? { why: reason || 'code ' + code } : await explain();
    state('closed', 'not connected');
    if (failures++ === 0 || askAgain) add('note', '', 'Not connected: ' + why + '.');
    if (askAgain) {
      $('access').hidden = false;
      return;
    }
    retry = setTimeout(connect, pauses[Math.min(failures, pauses.length) - 1] * (0.75 + Math.random() / 2));
  };
}

$('say').onsubmit = (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text || ws?.readyState !== WebSocket.OPEN) return;
  ws.send(JSON.stringify({ from: $('name').value.trim() || 'guest', text, id: me }));
  $('text').value = '';
};

$('access').onsubmit = (event) => {
  event.preventDefault();
  token = $('token').value.trim();
  failures = 0;
  if (token) connect();
};

if (wantsToken) {
  $('access').hidden = false;
  state('closed', 'a token is needed');
  add('note', '', 'This server asks for tokens. One that works: wsd token ann --allow-subscribe chat --allow-publish chat');
} else {
  add('note', '', 'Open this page in a second window and say something.');
  connect();
}

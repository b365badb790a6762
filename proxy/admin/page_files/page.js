// The page at the admin port. Every text is written with textContent; there is no other way into the document.
'use strict';

const KEPT_POINTS = 240;
const KEPT_REQUESTS = 100;
const SILENT = 5000; // ms without an event, after which the page says that its values are old
const NOW = 10; // points that the present rate and latency are taken from
const MARKS = {
  good: 'M6 1a5 5 0 1 0 0 10A5 5 0 1 0 6 1z',
  wait: 'M6 1a5 5 0 1 0 0 10A5 5 0 1 0 6 1zM6 3a3 3 0 1 1 0 6A3 3 0 1 1 6 3z',
  warn: 'M6 1L11.5 11H.5z',
  bad: 'M1.5 1.5h9v9h-9z',
};

const element = (id) => document.getElementById(id);
const write = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};
const show = (node, shown) => {
  if (node.hidden === shown) node.hidden = !shown;
};
const made = (tag, text = '', name = '') => {
  const node = document.createElement(tag);
  node.textContent = text;
  if (name) node.className = name;
  return node;
};
const mark = (node, level) => {
  if (node.dataset.level === level) return;
  node.dataset.level = level;
  const path = node.querySelector('.mark path');
  path.setAttribute('d', MARKS[level] || MARKS.wait);
  path.setAttribute('fill-rule', 'evenodd');
};

// -- numbers for people --

const two = (number) => String(number).padStart(2, '0');
const clock = (seconds) => {
  const date = new Date(seconds * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};
const day = (seconds) => {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
};
const lasting = (seconds) => {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
};
const taken = (seconds) => {
  if (seconds < 0.00995) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
};
const rate = (number) => (number && number < 9.95 ? number.toFixed(1) : String(Math.round(number)));
const counted = (number, word) => `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`;

// -- upstreams --

const cards = new Map();
const points = new Map();

function card(upstream) {
  let node = cards.get(upstream.name);
  if (!node) {
    node = element('upstream').content.firstElementChild.cloneNode(true);
    const title = node.querySelector('h3');
    title.append(upstream.name);
    if (upstream.api !== upstream.name) title.append(' ', made('span', upstream.api));
    for (const button of node.querySelectorAll('[data-copies]')) {
      const what = button.dataset.copies;
      button.querySelector('.sr').textContent = ` the ${what === 'address' ? what : 'example call'} of ${upstream.name}`;
      const from = node.querySelector(`[data-of="${what}"]`);
      button.addEventListener('click', () => copy(from, button));
    }
    cards.set(upstream.name, node);
  }
  return node;
}

function fill(upstream) {
  const node = card(upstream);
  const put = (name, text) => write(node.querySelector(`[data-of="${name}"]`), text);
  mark(node, upstream.level);
  for (const name of ['label', 'address', 'url', 'example', 'said']) put(name, upstream[name]);
  show(node.querySelector('.said'), upstream.said !== '');
  const failed = upstream.failed ? `, ${upstream.failed.toLocaleString('en')} failed` : '';
  put('counts', upstream.requests ? counted(upstream.requests, 'request') + failed : 'no request yet');
  credential(node, upstream.credential, put);
  pictures(node, points.get(upstream.name) || [], put);
  return node;
}

function credential(node, it, put) {
  put('account', it.kind && it.kind !== 'none' ? `${it.account} (${it.kind})` : it.account);
  const bar = node.querySelector('.bar');
  const bounded = it.usable && it.ends !== null && it.life > 0;
  show(bar, bounded);
  if (bounded) {
    const share = (seconds) => `${Math.max(0, Math.min(100, (100 * seconds) / it.life)).toFixed(2)}%`;
    bar.querySelector('.left').style.width = share(it.ends);
    const renewal = bar.querySelector('.renewal');
    show(renewal, it.next !== null && it.next < it.ends);
    if (it.next !== null) renewal.style.insetInlineStart = share(it.ends - it.next);
  }
  put('life', life(it));
}

function life(it) {
  if (it.kind === 'none') return '';
  const parts = [];
  if (it.usable && ['bearer', 'basic'].includes(it.kind) && it.ends === null) return 'no known end';
  if (it.renewed !== null) parts.push(`renewed ${lasting(it.renewed)} ago`);
  if (!it.usable) parts.push(it.failures ? counted(it.failures, 'attempt') + ' failed' : 'no credential yet');
  else parts.push(it.ends === null ? 'no fixed end' : `ends in ${lasting(Math.max(0, it.ends))}`);
  if (it.next !== null) parts.push(`${it.usable ? 'renewal' : 'next attempt'} in ${lasting(it.next)}`);
  return parts.join(', ');
}

const steps = (values, scale) => {
  // one path of bars, the newest at the right edge
  const begin = KEPT_POINTS - values.length;
  return values
    .map(([low, high], at) =>
      high > low ? `M${begin + at} ${40 - low * scale}V${40 - high * scale}h1V${40 - low * scale}z` : '')
    .join('');
};
const line = (values, scale) => {
  const begin = KEPT_POINTS - values.length;
  let pen = 'M';
  return values
    .map((value, at) => {
      if (value === null) {
        pen = 'M';
        return '';
      }
      const step = `${pen}${begin + at} ${(39 - value * scale).toFixed(2)}h1`;
      pen = 'L';
      return step;
    })
    .join('');
};

function pictures(node, list, put) {
  const draw = (name, path) => node.querySelector(name).setAttribute('d', path);
  const sums = list.map(([good, failed]) => good + failed);
  const peak = Math.max(1, ...sums);
  draw('.rate .good', steps(list.map(([good]) => [0, good]), 38 / peak));
  draw('.rate .failed', steps(list.map(([good, failed]) => [good, good + failed]), 38 / peak));
  const last = list.slice(-NOW);
  const mean = last.length ? sums.slice(-NOW).reduce((sum, each) => sum + each, 0) / last.length : 0;
  put('rate', `${rate(mean)}/s`);
  const most = Math.max(0, ...sums);
  put('peak', most ? `at most ${rate(most)}/s` : '');
  const slowest = Math.max(0.001, ...list.map((point) => point[3] ?? 0));
  draw('.latency .slow', steps(list.map((point) => [0, point[3] ?? 0]), 38 / slowest));
  draw('.latency .median', line(list.map((point) => point[2]), 38 / slowest));
  const medians = last.map((point) => point[2]).filter((value) => value !== null);
  const median = medians.length ? medians.reduce((sum, each) => sum + each, 0) / medians.length : null;
  put('median', median === null ? '–' : taken(median));
  const slows = last.map((point) => point[3]).filter((value) => value !== null);
  put('slow', slows.length ? `95 % below ${taken(Math.max(...slows))}` : '');
}

function upstreams(state) {
  for (const [name, news] of Object.entries(state.points)) {
    const known = state.whole ? [] : points.get(name) || [];
    points.set(name, [...known, ...news].slice(-KEPT_POINTS));
  }
  const list = element('upstream-list');
  const names = new Set(state.upstreams.map((upstream) => upstream.name));
  for (const name of [...cards.keys()]) {
    if (names.has(name)) continue;
    cards.get(name).remove();
    cards.delete(name);
    points.delete(name);
  }
  state.upstreams.forEach((upstream, at) => {
    const node = fill(upstream);
    if (list.children[at] !== node) list.insertBefore(node, list.children[at] || null);
  });
}

// -- lists --

let problemsShown = '';

function problems(list) {
  const all = JSON.stringify(list);
  if (all === problemsShown) return;
  problemsShown = all;
  show(element('no-problems'), list.length === 0);
  show(element('problem-list'), list.length > 0);
  element('problem-list').replaceChildren(...list.map((each) => {
    const item = made('li');
    const heading = made('p', each.upstream || 'admin port', 'where');
    if (each.times > 1) heading.append(`, ${each.times} times`);
    if (each.request_id) heading.append(`, X-Request-Id ${each.request_id}`);
    item.append(made('time', clock(each.at)), heading, made('p', each.said, each.over ? 'over' : ''));
    return item;
  }));
}

function row(request) {
  const failed = request.status >= 400;
  const node = made('tr', '', failed ? 'failed' : 'fine');
  node.setAttribute('role', 'row');
  const status = request.status === 499 ? 'caller left' : String(request.status);
  const cells = [
    [clock(request.at)],
    [request.upstream],
    [request.method],
    [request.path],
    [status, 'number'],
    [taken(request.seconds), 'number'],
    [request.caller || '', 'caller'],
  ].map(([text, name]) => {
    const cell = made('td', text, name);
    cell.setAttribute('role', 'cell');
    return cell;
  });
  const notes = [];
  if (request.problem) notes.push(request.problem);
  if (request.repaired) notes.push('sent again with a new credential');
  if (notes.length) cells[3].append(' ', made('span', notes.join(', '), 'note'));
  node.append(...cells);
  return node;
}

function requests(state) {
  show(element('requests'), state.requests !== null);
  if (state.requests === null) return;
  const list = element('request-list');
  if (state.whole) list.replaceChildren();
  list.prepend(...state.requests.map(row).reverse());
  while (list.children.length > KEPT_REQUESTS) list.lastElementChild.remove();
  show(element('request-table'), list.children.length > 0);
  show(element('no-requests'), list.children.length === 0);
  if (state.requests.some((request) => request.caller)) element('request-table').classList.remove('no-caller');
}

function certificates(list, time) {
  show(element('certificates'), list.length > 0);
  element('certificate-list').replaceChildren(...list.map((each) => {
    const node = made('tr');
    node.setAttribute('role', 'row');
    const left = Math.floor((each.ends - time) / 86400);
    const days = [left.toLocaleString('en'), left < 30 ? 'number soon' : 'number'];
    for (const [text, name] of [[each.upstream], [each.name], [day(each.ends)], days]) {
      const cell = made('td', text, name);
      cell.setAttribute('role', 'cell');
      node.append(cell);
    }
    return node;
  }));
}

// -- copying --

async function copy(from, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(from.textContent);
  } catch {
    getSelection().selectAllChildren(from); // without https and off localhost there is no clipboard
    done = document.execCommand('copy');
  }
  const label = button.firstChild;
  label.textContent = done ? 'Copied' : 'Selected';
  write(element('copied'), done ? 'Copied.' : 'Selected; copy it with your keyboard.');
  setTimeout(() => {
    label.textContent = 'Copy';
    write(element('copied'), '');
  }, 2000);
}

// -- the stream --

let source = null;
let heard = Date.now();
let version = '';
let paused = false;
let again = 0;
let wait = 2000;

function render(state) {
  if (version && version !== state.version) location.reload(); // another version has another page
  version = state.version;
  write(element('version'), state.version);
  show(element('summary-line'), true);
  mark(element('summary-line'), state.level);
  write(element('summary'), state.summary);
  write(element('totals'), `${counted(state.requests_total, 'request')} in ${lasting(state.uptime)}`);
  for (const id of ['upstreams', 'problems', 'pause']) show(element(id), true);
  upstreams(state);
  problems(state.problems);
  requests(state);
  certificates(state.certificates, state.time);
}

function connect() {
  clearTimeout(again);
  if (source || paused || document.hidden) return;
  source = new EventSource('/events');
  source.onmessage = (event) => {
    heard = Date.now();
    wait = 2000;
    render(JSON.parse(event.data));
    tell('');
  };
  source.onerror = () => {
    const refused = source && source.readyState === EventSource.CLOSED;
    disconnect();
    tell(refused ? 'The proxy refuses another page, or it restarts. This page tries again by itself.' : gone());
    again = setTimeout(connect, wait);
    wait = Math.min(2 * wait, 30000);
  };
}

function disconnect() {
  clearTimeout(again);
  if (source) source.close();
  source = null;
}

const gone = () =>
  version
    ? `No connection to the proxy since ${clock(heard / 1000)}. The values below are of that time; this page tries again by itself.`
    : 'No connection to the proxy yet. This page tries again by itself.';

function tell(text) {
  write(element('connection'), text);
  show(element('connection'), text !== '');
  document.body.classList.toggle('stale', text !== '' && !paused);
}

setInterval(() => {
  if (source && Date.now() - heard > SILENT) tell(gone());
}, 1000);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    disconnect();
  } else {
    heard = Date.now();
    connect();
  }
});
element('pause').addEventListener('click', () => {
  paused = !paused;
  write(element('pause'), paused ? 'Resume' : 'Pause');
  if (paused) {
    disconnect();
    tell(`Paused. The values are those of ${clock(heard / 1000)}.`);
  } else {
    tell('');
    heard = Date.now();
    connect();
  }
});
element('failures').addEventListener('change', (event) => {
  element('request-table').classList.toggle('failures', event.target.checked);
});
element('request-table').classList.add('no-caller');
connect();

import { Chart } from './chart.js';
import { byId, element } from './elements.js';
import { bytes, duration, milliseconds } from './figures.js';
import { inPlainWords } from './plain-words.js';
import { agents, ask, unauthorized } from './server.js';
import { Table } from './table.js';
import { startThemeButton } from './theme-button.js';

const everyMs = 1000;
/** Slower, because their health check asks the model servers. */
const agentsEveryMs = 5000;

const charts = [
  new Chart({
    ...{ title: 'Tokens per second', unit: '' },
    curves: [{ label: 'tokens', colour: '--mark', value: (sample) => sample.tokensPerSecond }],
  }),
  new Chart({
    ...{ title: 'Queue', unit: '' },
    curves: [
      { label: 'waiting', colour: '--mark', value: (sample) => sample.waiting },
      { label: 'streams running', colour: '--cool', value: (sample) => sample.running },
    ],
  }),
  new Chart({
    ...{ title: 'Event-loop lag', unit: ' ms' },
    curves: [{ label: 'p99', colour: '--mark', value: (sample) => sample.lagMs }],
  }),
];
byId('charts', HTMLElement).append(...charts.map((chart) => chart.element));

const count = (/** @type {number | undefined} */ value) => (value ?? 0).toLocaleString('en');
/** @param {string} name @param {string} [text] */
const state = (name, text = name) => element('span', { className: `badge ${name}` }, text);
const figure = { figure: true };

const streams = new Table(
  'Streams',
  [
    { name: 'Reply', cell: ({ id, user }) => named(id, user) },
    { name: 'State', cell: (reply) => state(reply.state, reply.phase) },
    {
      name: 'Agent',
      cell: ({ agent, model, code }) => [agent, model, code].filter(Boolean).join(', ') || '–',
    },
    {
      name: 'Last token',
      cell: ({ quietMs }) => (quietMs === undefined ? '–' : `${milliseconds(quietMs)} ago`),
      ...figure,
    },
    { name: 'Readers', cell: ({ readers }) => (readers === undefined ? '–' : count(readers)), ...figure },
    { name: 'Took', cell: ({ durationMs }) => milliseconds(durationMs), ...figure },
    {
      name: 'Tokens',
      cell: ({ outputTokens }) => (outputTokens === undefined ? '–' : count(outputTokens)),
      ...figure,
    },
    {
      name: 'Action',
      cell: ({ id, number, state }) => (state === 'running' ? cancelButton(id, number) : ''),
      ...figure,
    },
  ],
  ({ number }) => String(number),
  'No replies yet.',
);
const tasks = new Table(
  'Tasks',
  [
    { name: 'Task', cell: ({ name }) => name },
    { name: 'Lane', cell: ({ lane }) => lane },
    ...['waiting', 'running', 'succeeded', 'failed', 'cancelled', 'rejected'].map((key) => ({
      name: key[0]?.toUpperCase() + key.slice(1),
      cell: (/** @type {any} */ { counts }) => count(counts?.[key]),
      ...figure,
    })),
  ],
  ({ name }) => name,
  'No tasks are registered.',
);
const plugins = new Table(
  'Plugins',
  [
    { name: 'Plugin', cell: ({ id, name }) => (id === name ? id : `${id} (${name})`) },
    { name: 'State', cell: (plugin) => state(plugin.state) },
    { name: 'Registered', cell: ({ registered }) => registrations(registered) },
    { name: 'Set up in', cell: ({ setupMs }) => milliseconds(setupMs), ...figure },
  ],
  ({ id }) => id,
  'No plugins are running.',
);
byId('streams', HTMLElement).append(streams.element);
byId('tasks', HTMLElement).append(element('p', { className: 'summary faint' }), tasks.element);
byId('plugins', HTMLElement).append(plugins.element);

/** @param {string} id @param {string | undefined} user */
function named(id, user) {
  const by = user === undefined ? [] : [' ', element('span', { className: 'user', dir: 'auto' }, user)];
  return element('span', {}, element('code', {}, id), ...by);
}

/** @param {string} id @param {number} number */
function cancelButton(id, number) {
  const button = element(
    'button',
    { type: 'button', className: 'quiet', 'aria-label': `Cancel ${id}` },
    'Cancel',
  );
  button.addEventListener('click', () => askToCancel(id, number));
  return button;
}

/** @param {string} id @param {number} number */
function askToCancel(id, number) {
  const dialog = byId('cancel', HTMLDialogElement);
  const what = dialog.querySelector('.what');
  if (what) what.textContent = `The answer ${id} ends for everyone who reads it. What has come of it stays.`;
  const [yes, no] = dialog.querySelectorAll('button');
  if (yes)
    yes.onclick = () => {
      dialog.close();
      void cancel(number);
    };
  if (no) no.onclick = () => dialog.close();
  dialog.showModal();
  no?.focus();
}

/** @param {number} number */
async function cancel(number) {
  const problem = byId('problem', HTMLElement);
  problem.textContent = '';
  try {
    await ask(`ui/replies/${number}`, { method: 'DELETE' });
  } catch (error) {
    const { code, message, retryAfterMs } = /** @type {any} */ (error);
    problem.textContent =
      code === 'STREAM_UNKNOWN' ? 'It had ended already.' : inPlainWords({ code, message, retryAfterMs });
  }
}

/** @param {Record<string, readonly string[]> & { others: number }} registered */
function registrations({ others, ...kinds }) {
  const labels = { routes: '', agents: 'agent ', tasks: 'task ', services: 'service ', events: 'on ' };
  const all = Object.entries(labels).flatMap(([kind, label]) =>
    (kinds[kind] ?? []).map((name) => element('li', {}, `${label}${name}`)),
  );
  if (others > 0) all.push(element('li', { className: 'faint' }, `${others} other`));
  return all.length > 0 ? element('ul', { className: 'chips' }, ...all) : '–';
}

/** @param {any} seen */
function show(seen) {
  const { server, connections, queue, workers, samples } = seen;
  const now = samples.at(-1);
  byId('server', HTMLElement).textContent =
    `${server.version} · ${server.state} · up ${duration(server.uptimeMs)}`;
  showTiles([
    ['Tokens per second', now ? count(now.tokensPerSecond) : '–', `${count(seen.streams?.tokens)} in total`],
    [
      'Streams',
      count(seen.streams?.running),
      `${count(seen.streams?.readers)} readers, ${count(seen.streams?.kept)} kept`,
    ],
    ['Waiting', count(queue?.waiting), queued(queue)],
    ['Connections', count(connections.open), `of ${count(connections.limit)}`],
    [
      'Workers',
      workers ? `${workers.busy}/${workers.alive}` : '–',
      workers ? `busy, ${count(workers.lost)} lost` : 'none',
    ],
    ['Event-loop lag', now ? `${now.lagMs} ms` : '–', '99th percentile'],
    ['Memory', bytes(server.rssBytes), `${bytes(server.heapBytes)} heap`],
  ]);
  for (const chart of charts) chart.show(samples);
  streams.show(seen.streams?.replies ?? []);
  tasks.show(seen.tasks ?? []);
  plugins.show(seen.plugins);
  const summary = document.querySelector('#tasks .summary');
  if (summary && queue)
    summary.textContent = `${count(queue.running)} running, ${count(queue.waiting)} waiting, ${count(queue.delayed)} delayed, ${count(queue.succeeded)} done, ${count(queue.failed)} failed, ${count(queue.rejected)} refused.`;
  showConnections(connections, seen.streams?.ended);
}

/** @param {any} queue */
function queued(queue) {
  const waiting = Object.entries(queue?.queued ?? {}).filter(([, length]) => Number(length) > 0);
  return waiting.map(([priority, length]) => `${length} ${priority}`).join(', ') || 'in the queue';
}

/** @type {Map<string, { value: HTMLElement, more: HTMLElement }>} */
const tiles = new Map();

/** @param {readonly (readonly [string, string, string])[]} all */
function showTiles(all) {
  for (const [name, value, more] of all) {
    let tile = tiles.get(name);
    if (!tile) {
      tile = { value: element('dd', { className: 'value' }), more: element('dd', { className: 'faint' }) };
      tiles.set(name, tile);
      byId('tiles', HTMLElement).append(element('div', {}, element('dt', {}, name), tile.value, tile.more));
    }
    if (tile.value.textContent !== value) tile.value.textContent = value;
    if (tile.more.textContent !== more) tile.more.textContent = more;
  }
}

/** @param {any} connections @param {any} ended */
function showConnections({ opened, refused, paths, closed }, ended) {
  const rows = [
    ...Object.entries(paths).map(([path, open]) => [path, `${open} open`]),
    ['Opened', count(opened)],
    ...(refused > 0 ? [['Refused', count(refused)]] : []),
    ...Object.entries(closed).map(([code, times]) => [`Closed with ${code}`, count(Number(times))]),
    ...(ended
      ? [
          [
            'Answers',
            `${count(ended.finished)} complete, ${count(ended.cancelled)} stopped, ${count(ended.failed)} failed`,
          ],
        ]
      : []),
  ];
  const list = rows.map(([name = '', value = '']) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value)),
  );
  replaceIfNew(byId('connections', HTMLElement), element('dl', { className: 'pairs' }, ...list));
}

/** @param {readonly import('./server.js').AgentStatus[]} all */
function showAgents(all) {
  const items = all.map(({ name, description, healthy, detail, models = [] }) =>
    element(
      'li',
      {},
      element('p', {}, element('strong', {}, name), ' ', state(healthy ? 'healthy' : 'unhealthy')),
      element('p', { className: 'faint' }, detail ?? description ?? ''),
      ...(models.length > 0
        ? [element('ul', { className: 'chips' }, ...models.map((model) => element('li', {}, model)))]
        : []),
    ),
  );
  replaceIfNew(byId('agents', HTMLElement), element('ul', { className: 'agents' }, ...items));
}

/** Replaces content only if it differs, which keeps a selection. @param {HTMLElement} box @param {HTMLElement} content */
function replaceIfNew(box, content) {
  if (!box.firstElementChild?.isEqualNode(content)) box.replaceChildren(content);
}

/** @param {'live' | 'paused' | 'lost'} how */
function showFreshness(how) {
  const box = byId('freshness', HTMLElement);
  box.dataset.state = how;
  const text = { live: 'Live', paused: 'Paused', lost: 'The server is not responding' }[how];
  const shown = box.querySelector('.text');
  if (shown && shown.textContent !== text) shown.textContent = text;
}

/** Repeats an action while the page is visible. @param {number} ms @param {() => Promise<void>} act */
function whileSeen(ms, act) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let busy = false;
  const step = async () => {
    clearTimeout(timer);
    if (document.hidden || busy) return;
    busy = true;
    await act();
    busy = false;
    timer = setTimeout(step, ms);
  };
  document.addEventListener('visibilitychange', () => void step());
  void step();
}

startThemeButton(byId('theme', HTMLButtonElement));
// The server then answers with a page that leads to the sign-in.
addEventListener(unauthorized, () => location.reload());
whileSeen(everyMs, async () => {
  try {
    show(await ask('ui/state'));
    showFreshness('live');
  } catch {
    showFreshness('lost');
  }
});
whileSeen(agentsEveryMs, async () => {
  const known = await agents().catch(() => undefined);
  if (known) showAgents(known);
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) showFreshness('paused');
});

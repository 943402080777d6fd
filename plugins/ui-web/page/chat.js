import { AgentChoice } from './agent-choice.js';
import { Announcer } from './announcer.js';
import { AnswerView, questionView } from './answer-view.js';
import { copyFrom } from './clipboard.js';
import { Composer } from './composer.js';
import { Conversations } from './conversations.js';
import { Drawer } from './drawer.js';
import { byId } from './elements.js';
import { Line } from './line.js';
import { Notice } from './notice.js';
import { randomId } from './random-id.js';
import { Run } from './run.js';
import { Scroller } from './scroller.js';
import { agents, endpoints, ServerConversations } from './server.js';
import { startShortcuts } from './shortcuts.js';
import { SideList } from './side-list.js';
import { recall, remember } from './storage.js';
import { startThemeButton } from './theme-button.js';
import { showWelcome } from './welcome.js';

/** @typedef {import('./conversations.js').Message} Message */

// A secret: it gives access to the conversations, so it is random and sent to this server only.
const userId = recall('user') ?? randomId();
remember('user', userId);

const conversations = new Conversations();
/** Running answers, by conversation. @type {Map<string, { run: Run, messages: Message[] }>} */
const runs = new Map();
/** @type {ServerConversations | undefined} */
let server;
/** @type {string | undefined} */
let current;
/** @type {Message[]} */
let messages = [];
/** @type {AnswerView[]} */
let views = [];
let wasLost = false;

const announcer = new Announcer(byId('spoken', HTMLElement));
const announce = (/** @type {string} */ text) => announcer.say(text);
const scroller = new Scroller(byId('log', HTMLElement), byId('to-end', HTMLButtonElement));
const choice = new AgentChoice(byId('agent', HTMLSelectElement));
const notice = new Notice(byId('notice', HTMLElement), byId('connection', HTMLElement));
const composer = new Composer(
  {
    form: byId('composer', HTMLFormElement),
    field: byId('message', HTMLTextAreaElement),
    send: byId('send', HTMLButtonElement),
    stop: byId('stop', HTMLButtonElement),
  },
  { send, stop },
);
const drawer = new Drawer(
  byId('side', HTMLElement),
  byId('main', HTMLElement),
  byId('toggle-side', HTMLButtonElement),
  byId('veil', HTMLElement),
);
const list = new SideList(
  byId('list', HTMLElement),
  byId('list-empty', HTMLElement),
  byId('delete', HTMLDialogElement),
  { remove },
);
const line = new Line(userId, (state) => {
  notice.show(state);
  if (state === 'open' && wasLost) announce('Reconnected.');
  wasLost = state === 'reconnecting';
  // Input could not be sent.
  byId('composer', HTMLElement).inert = isOver();
  if (state === 'open') void lookAtAgents();
});

/** True if this tab is disconnected and will not reconnect by itself. */
function isOver() {
  return line?.state === 'elsewhere' || line?.state === 'refused';
}

/** @param {string} text */
function send(text) {
  if (current === undefined) {
    current = randomId();
    history.replaceState(null, '', `#c/${current}`);
  }
  messages.push({ role: 'user', content: text }, Run.message(choice.value));
  start(current, messages, true);
  show();
  scroller.toEnd();
}

/** Starts the last message, which is an answer. @param {string} id @param {Message[]} all @param {boolean} isNews */
function start(id, all, isNews) {
  const [question, answer] = /** @type {[Message, Message]} */ (all.slice(-2));
  conversations.keep(id, all, isNews);
  const run = new Run({
    ...{ line, conversationId: id, question: question.content, message: answer },
    // After a takeover by another tab, that tab stores the conversation.
    save: () => {
      if (line.state !== 'elsewhere' && conversations.find(id)) conversations.keep(id, all, false);
    },
  });
  runs.set(id, { run, messages: all });
  void run.over.then(async () => {
    runs.delete(id);
    if (answer.error?.code === 'STREAM_GONE') await recover(id, all);
    showFrame();
    if (id === current && !answer.pending)
      announce(answer.error ? 'The answer failed.' : 'End of the answer.');
  });
}

/** Gets the stored answer from the server when its stream can no longer be resumed. @param {string} id @param {Message[]} all */
async function recover(id, all) {
  const answer = /** @type {Message} */ (all.at(-1));
  await serverSeen;
  const whole = (await server?.messages(id).catch(() => undefined))?.at(-1);
  if (whole?.role !== 'assistant' || !whole.content.startsWith(answer.content)) return;
  answer.content = whole.content;
  delete answer.error;
  if (whole.error) answer.error = whole.error;
  if (whole.stopped) answer.stopped = true;
  conversations.keep(id, all, false);
  if (id === current) show();
}

function stop() {
  if (current === undefined) return false;
  const run = runs.get(current)?.run;
  run?.stop();
  return run !== undefined;
}

/** @param {Message} message */
function retry(message) {
  const question = messages[messages.indexOf(message) - 1];
  if (current === undefined || !question || runs.has(current) || isOver()) return;
  composer.focus();
  if (message !== messages.at(-1)) return send(question.content);
  messages[messages.length - 1] = Run.message(choice.value);
  start(current, messages, true);
  show();
  scroller.toEnd();
}

/** @param {string} id */
async function remove(id) {
  if (isOver()) return;
  const run = runs.get(id)?.run;
  run?.stop();
  // A request for an unknown conversation would show as an error in the browser's console.
  const wasAsked = (/** @type {Message} */ { role, pending, agent, error }) =>
    role === 'assistant' && !pending && (agent !== undefined || !error);
  const isKnown = conversations.find(id)?.known;
  const all = runs.get(id)?.messages ?? conversations.messages(id);
  conversations.remove(id);
  if (id === current) startNew();
  showFrame();
  composer.focus();
  announce('Deleted.');
  await run?.over;
  if (!isKnown && !all.some(wasAsked)) return;
  await server?.remove(id).catch((error) => {
    if (error.code !== 'CONVERSATION_UNKNOWN')
      notice.say('The server could not be reached. It still has this conversation.');
  });
}

function startNew() {
  history.pushState(null, '', location.href.replace(/#.*/, ''));
  open();
  composer.focus();
}

/** Opens the conversation in the address. */
function open() {
  const [, id] = /^#c\/([\w.~-]{1,128})$/.exec(location.hash) ?? [];
  current = id;
  messages = id === undefined ? [] : (runs.get(id)?.messages ?? conversations.messages(id));
  show();
  scroller.toEnd();
  if (id !== undefined && messages.length === 0) void fetchMessages(id);
}

/** @param {string} id */
async function fetchMessages(id) {
  await serverSeen;
  const isKnown = conversations.find(id)?.known;
  const found = isKnown ? await server?.messages(id).catch(() => undefined) : undefined;
  if (current !== id || messages.length > 0) return;
  if (!found?.length) {
    history.replaceState(null, '', location.href.replace(/#.*/, ''));
    return open();
  }
  messages = found;
  conversations.keep(id, messages, false);
  show();
  scroller.toEnd();
}

function show() {
  for (const view of views) view.leave();
  views = [];
  const run = current === undefined ? undefined : runs.get(current)?.run;
  const around = { announce, grew: () => scroller.grew(), retry };
  const shown = messages.map((message) => {
    if (message.role === 'user') return questionView(message);
    const view = new AnswerView(message, message === run?.message ? run : undefined, around);
    views.push(view);
    return view.element;
  });
  byId('messages', HTMLElement).replaceChildren(...shown);
  byId('welcome', HTMLElement).hidden = messages.length > 0;
  showFrame();
}

/** Everything around the messages. */
function showFrame() {
  const title = (current !== undefined && conversations.find(current)?.title) || 'New conversation';
  byId('title', HTMLElement).textContent = title;
  document.title = current === undefined ? 'Waggle' : `${title} – Waggle`;
  list.show(conversations.entries, current);
  composer.busy = current !== undefined && runs.has(current);
}

async function lookAtAgents() {
  const known = await agents().catch(() => undefined);
  if (!known) return;
  choice.show(known);
  showWelcome(known, (idea) => {
    composer.text = idea;
    composer.focus();
  });
}

async function lookAtServer() {
  const offered = await endpoints().catch(() => ({}));
  byId('inspector', HTMLElement).hidden = !('inspector' in offered);
  // Without that endpoint the request would show as an error in the browser's console.
  if (!('conversations' in offered)) return;
  server = new ServerConversations(userId);
  conversations.merge(await server.list().catch(() => []));
  showFrame();
}

startThemeButton(byId('theme', HTMLButtonElement));
const keys = byId('keys-dialog', HTMLDialogElement);
const showHelp = () => keys.showModal();
keys.querySelector('button')?.addEventListener('click', () => keys.close());
if (/Mac|iP(hone|ad)/.test(navigator.userAgent))
  for (const key of keys.querySelectorAll('.control')) key.textContent = '⌘';
byId('help', HTMLButtonElement).addEventListener('click', showHelp);
byId('new', HTMLButtonElement).addEventListener('click', () => {
  drawer.close();
  startNew();
});
byId('list', HTMLElement).addEventListener('click', (event) => {
  if (event.target instanceof Element && event.target.closest('a')) drawer.close();
});
byId('agent', HTMLElement).addEventListener('focus', () => void lookAtAgents());
byId('messages', HTMLElement).addEventListener('click', async ({ target }) => {
  if (!(target instanceof HTMLButtonElement) || !target.matches('.code .copy')) return;
  announce(await copyFrom(target, target.closest('.code')?.querySelector('pre')?.textContent ?? ''));
});
startShortcuts({
  stop: () => {
    if (!drawer.covers) return stop();
    drawer.toggle();
    return true;
  },
  startNew,
  toggleSide: () => drawer.toggle(),
  showHelp,
  toMessage: () => composer.focus(),
});
addEventListener('hashchange', open);
addEventListener('popstate', open);
addEventListener('pagehide', () => {
  if (line.state === 'elsewhere') return;
  for (const [id, run] of runs) if (conversations.find(id)) conversations.keep(id, run.messages, false);
});

// Resume answers that were running when the page was left.
for (const { id, pending } of conversations.entries) {
  const left = pending ? conversations.messages(id) : [];
  if (left.at(-1)?.pending) start(id, left, false);
}
const serverSeen = lookAtServer();
open();
// On touch devices the focus would open the on-screen keyboard.
if (matchMedia('(hover: hover)').matches) composer.focus();

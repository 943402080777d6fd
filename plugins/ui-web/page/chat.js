import { Account } from './account.js';
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
import { inPlainWords } from './plain-words.js';
import { randomId } from './random-id.js';
import { Run } from './run.js';
import { Scroller } from './scroller.js';
import { agents, endpoints, me, ServerConversations, signOut, unauthorized } from './server.js';
import { startShortcuts } from './shortcuts.js';
import { SideList } from './side-list.js';
import { SignIn } from './sign-in.js';
import { progressOf } from './steps.js';
import { forgetAll, forgetTab, keepInTab, onStored, recall, remember } from './storage.js';
import { isNewer, withoutTurn } from './stored-answers.js';
import { startThemeButton } from './theme-button.js';
import { showWelcome } from './welcome.js';

/** @typedef {import('./conversations.js').Message} Message */

/** A server that refuses again within this time has to be told who one is. */
const renewMs = 10_000;

startThemeButton(byId('theme', HTMLButtonElement));
const notice = new Notice(byId('notice', HTMLElement), byId('connection', HTMLElement));
const signIn = new SignIn(byId('sign-in', HTMLDialogElement));
const account = new Account(byId('account', HTMLElement), { signOut: () => void leave() });
/** Tells other tabs of the sign-out. */
const tabs = new BroadcastChannel('waggle');
const offered = await endpoints().catch(() => ({}));
/** Null in an open server. */
const user = await whoAsks();
if (user) {
  keepInTab();
  if (recall('owner') !== user.id) forgetTab();
  remember('owner', user.id);
}
// In an open server a secret: it gives access to the conversations, so it is random and sent to this server only.
const openUser = recall('user') ?? randomId();
remember('user', openUser);
const userId = user ? undefined : openUser;

const conversations = new Conversations();
/** Running answers, by conversation. @type {Map<string, { run: Run, messages: Message[] }>} */
const runs = new Map();
/** @type {ServerConversations | undefined} */
let server;
/** @type {string | undefined} */
let current;
/** A conversation that was asked for and is not known yet. @type {string | undefined} */
let wanted;
/** @type {Message[]} */
let messages = [];
/** @type {AnswerView[]} */
let views = [];
let wasLost = false;
let isSignedOut = false;
let isRenewing = false;
let renewedAt = Number.NEGATIVE_INFINITY;

const announcer = new Announcer(byId('spoken', HTMLElement));
const announce = (/** @type {string} */ text) => announcer.say(text);
const scroller = new Scroller(byId('log', HTMLElement), byId('to-end', HTMLButtonElement));
const choice = new AgentChoice(byId('agent', HTMLSelectElement));
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
const line = new Line(userId, {
  entered: (state) => {
    notice.show(state);
    if (state === 'open' && wasLost) announce('Reconnected.');
    wasLost = state === 'reconnecting';
    if (state === 'signed-out') void askAgain();
    // Input could not be sent.
    byId('composer', HTMLElement).inert = isOver();
    if (state === 'open') void lookAtAgents();
  },
  expiring: () => void renew('Your sign-in ends within half a minute.', true),
  available: (reply) => void join(reply),
});

/** A user as this page calls them. In an open server the names are secrets. @param {string} by */
function who(by) {
  if (by === (user?.id ?? openUser)) return 'you';
  return user ? by : 'somebody else';
}

/** True if this tab is disconnected and will not reconnect by itself. */
function isOver() {
  return isSignedOut || line?.state === 'refused';
}

/** The user of this page, signed in if the server asks for it. */
async function whoAsks() {
  // Without that endpoint the request would show as an error in the browser's console.
  if (!('me' in offered)) return null;
  for (;;)
    try {
      return await me();
    } catch (error) {
      const { code, retryAfterMs = 5000, ...rest } = /** @type {any} */ (error);
      if (code === 'UNAUTHORIZED') await signIn.ask('This server asks who you are.');
      else {
        notice.say(inPlainWords({ ...rest, code, retryAfterMs }));
        await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
        notice.say('');
      }
    }
}

/** The credentials have ended. What the page shows stays, covered, for the same user. */
async function askAgain() {
  if (isSignedOut) return;
  isSignedOut = true;
  byId('composer', HTMLElement).inert = true;
  // Another tab may have signed in.
  const now = user && (await me().catch(() => null));
  if (now && performance.now() - renewedAt > renewMs) goOn(now.id);
  else await renew('Your sign-in has ended.', false);
}

/** Asks for newer credentials. @param {string} why @param {boolean} mayWait */
async function renew(why, mayWait) {
  const asked = signIn.ask(why, mayWait);
  if (isRenewing) return;
  isRenewing = true;
  const id = await asked;
  isRenewing = false;
  if (id !== undefined) goOn(id);
}

/** Goes on with newer credentials. @param {string} id of their user */
function goOn(id) {
  if (id !== user?.id) return startOver();
  renewedAt = performance.now();
  isSignedOut = false;
  byId('composer', HTMLElement).inert = false;
  line.renew();
  resumeAll();
  composer.focus();
  serverSeen = lookAtServer();
  void lookAtUser();
}

/** Signs out, here and in the other tabs. */
async function leave() {
  try {
    await signOut();
  } catch {
    return notice.say('The server could not be reached. You are still signed in.');
  }
  tabs.postMessage('signed out');
  startOver();
}

/** Loads the page for another user. */
function startOver() {
  isSignedOut = true;
  forgetAll();
  history.replaceState(null, '', location.href.replace(/#.*/, ''));
  location.reload();
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
    save: () => {
      if (conversations.find(id)) conversations.keep(id, all, false);
    },
  });
  runs.set(id, { run, messages: all });
  run.watchers.add({ asked: (isOpen) => showAsked(id, isOpen) });
  void run.over.then(async () => {
    runs.delete(id);
    if (answer.error?.code === 'STREAM_GONE') await recover(id, all);
    if (run.needsUser) void askAgain();
    // The connection was renewed.
    else if (answer.pending && !isOver()) {
      start(id, all, false);
      if (id === current) show();
      return;
    }
    void lookAtUser();
    showFrame();
    if (id === current && !answer.pending)
      announce(answer.error ? 'The answer failed.' : 'End of the answer.');
  });
}

/**
 * Shows a reply that another tab or device, or the server, has started.
 * @param {Parameters<import('./line.js').LineEvents['available']>[0]} reply
 */
async function join({ streamId, conversationId: id, question = '' }) {
  const before = runs.get(id)?.run;
  if (before?.isOf(streamId)) return;
  if (before) {
    // The answers of a conversation come one after the other: that one is over by then.
    await before.over;
    return before.isOf(streamId) ? undefined : refresh(id);
  }
  // Another tab of this browser may have stored the question and a part of the answer.
  const all = withoutTurn(
    conversations.messages(id).filter(({ pending }) => !pending),
    question,
  );
  const known = all.length;
  const answer = Run.message({});
  answer.pending = { requestId: randomId(), streamId };
  all.push({ role: 'user', content: question }, answer);
  // It was opened before anything of it was known.
  if (current === undefined && wanted === id) {
    current = id;
    history.replaceState(null, '', `#c/${id}`);
  }
  if (id === current) messages = all;
  start(id, all, true);
  showJoined(id);
  void runs.get(id)?.run.over.then(() => refresh(id));
  // Other devices may have added more before.
  const found = withoutTurn((await messagesOf(id)) ?? [], question, answer.content);
  if (found.length <= known || !answer.pending) return;
  all.splice(0, known, ...found);
  showJoined(id);
}

/** @param {string} id */
function showJoined(id) {
  if (id !== current) return showFrame();
  show();
  scroller.toEnd();
}

/** The messages of the server. @param {string} id */
async function messagesOf(id) {
  serverSeen = lookAtServer();
  await serverSeen;
  return conversations.find(id)?.known ? server?.messages(id).catch(() => undefined) : undefined;
}

/** Takes over the messages of the server, where they differ. @param {string} id */
async function refresh(id) {
  const found = await messagesOf(id);
  const shown = id === current ? messages : conversations.messages(id);
  if (!found || runs.has(id) || !isNewer(found, shown)) return;
  conversations.keep(id, found, false);
  if (id !== current) return;
  messages = found;
  show();
}

/** A conversation waits for an approval, or no more. @param {string} id @param {boolean} isOpen */
function showAsked(id, isOpen) {
  showFrame();
  const title = conversations.find(id)?.title;
  if (isOpen && id !== current && title) announce(`“${title}” waits for your approval.`);
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
  wanted = undefined;
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
  if (id !== undefined && (user || messages.length === 0)) void fetchMessages(id);
}

/** Shows the messages of the server, which other devices may have continued. @param {string} id */
async function fetchMessages(id) {
  await serverSeen;
  const isKnown = conversations.find(id)?.known;
  const found = isKnown ? await server?.messages(id).catch(() => undefined) : undefined;
  if (current !== id || messages.at(-1)?.pending) return;
  if (messages.length > 0 && !(found && isNewer(found, messages))) return;
  if (!found?.length) {
    wanted = id;
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
  const around = { announce, who, grew: () => scroller.grew(), retry };
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
  const asking = [...runs].filter(([, { run }]) => run.asks.size > 0).map(([id]) => id);
  list.show(conversations.entries, current, new Set(asking));
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
  const isOperator = !user || user.scopes.includes('admin');
  byId('inspector', HTMLElement).hidden = !('inspector' in offered && isOperator);
  // Without that endpoint the request would show as an error in the browser's console.
  if (!('conversations' in offered)) return;
  server = new ServerConversations(userId);
  const listed = await server.list().catch(() => undefined);
  if (listed && user) conversations.follow(listed);
  else if (listed) conversations.merge(listed);
  showFrame();
}

/** Shows what is left of the limits. */
async function lookAtUser() {
  if (!user || isSignedOut) return;
  const now = await me().catch(() => undefined);
  if (now) account.show(now);
}

/** Resumes answers that were running when the page was left or signed out. */
function resumeAll() {
  for (const { id, pending } of conversations.entries) {
    if (!pending || runs.has(id)) continue;
    const left = id === current ? messages : conversations.messages(id);
    if (left.at(-1)?.pending) start(id, left, false);
  }
  show();
}

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
  for (const [id, run] of runs) if (conversations.find(id)) conversations.keep(id, run.messages, false);
});

addEventListener(unauthorized, () => void askAgain());
tabs.addEventListener('message', () => {
  if (user) startOver();
});
// Another tab has stored something.
onStored((name) => {
  if (name === 'conversations') {
    conversations.read();
    return showFrame();
  }
  if (current === undefined || name !== `messages:${current}` || runs.has(current)) return;
  const stored = conversations.messages(current);
  if (progressOf(stored) === progressOf(messages)) return;
  messages = stored;
  show();
  scroller.grew();
});
// Other devices may have gone on meanwhile.
document.addEventListener('visibilitychange', () => {
  if (document.hidden || !user || isOver()) return;
  serverSeen = lookAtServer();
  if (current !== undefined) void fetchMessages(current);
  void lookAtUser();
});

account.show(user);
resumeAll();
let serverSeen = lookAtServer();
open();
// On touch devices the focus would open the on-screen keyboard.
if (matchMedia('(hover: hover)').matches) composer.focus();

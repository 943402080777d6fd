import { open, openHere } from './open.js';
import { randomId } from './random-id.js';
import { Run } from './run.js';
import { scroller } from './scroller.js';
import {
  conversations,
  current,
  entries,
  forgotten,
  here,
  messages,
  offered,
  removed,
  running,
  showEntries,
  user,
} from './state.js';
import { merged, withoutTurn } from './stored-answers.js';
import { start } from './turns.js';

/** @typedef {import('./conversations.js').Message} Message */

/** A conversation that was asked for and is not known yet. @type {string | undefined} */
let wanted;
/** Resolves once the newest list has come. */
let seen = Promise.resolve();
/** Whether that list is the server's of now. */
let isListed = false;

/** Reads the list of the server. When a page begins, it has nothing to keep that is gone. */
export function lookAtServer(isBeginning = false) {
  seen = readList(isBeginning);
  return seen;
}

/** @param {boolean} isBeginning */
async function readList(isBeginning) {
  // Without that endpoint the request would show as an error in the browser's console.
  const { server } = here;
  if (!server || !('conversations' in offered.value)) return;
  const list = await server.list().catch(() => undefined);
  isListed = list !== undefined;
  if (!list) return;
  const { whole } = list;
  const listed = list.listed.filter((/** @type {{ id: string }} */ { id }) => !removed.has(id));
  if (user.value && whole) conversations.follow(listed, isBeginning ? undefined : current.value);
  else conversations.merge(listed);
  showEntries();
  const ids = new Set(listed.map((/** @type {{ id: string }} */ { id }) => id));
  const isGone = (/** @type {import('./state.js').Entry} */ { id, known }) =>
    known !== undefined && !ids.has(id);
  forgotten.value = new Set(whole ? entries.value.filter(isGone).map(({ id }) => id) : []);
}

/** The messages of the server; undefined where it has none. @param {string} id */
async function messagesOf(id) {
  if (!conversations.find(id)?.known || forgotten.value.has(id)) return undefined;
  return here.server?.messages(id).catch(() => undefined);
}

/** Takes over the messages of the server. @param {string} id */
export async function refresh(id) {
  await lookAtServer();
  await fetchMessages(id);
}

/** Shows the messages of the server, which other devices may have continued. @param {string} id */
export async function fetchMessages(id) {
  await seen;
  const known = await messagesOf(id);
  const isOpen = id === current.value;
  const shown = isOpen ? messages.value : conversations.messages(id);
  if (running.value.has(id) || removed.has(id) || shown.at(-1)?.pending) return;
  // A conversation whose only turn has failed before the server had it.
  const isUnknown = isListed && conversations.find(id)?.known === undefined && shown.at(-1)?.error;
  const found = known ?? (isUnknown ? [] : undefined);
  if (found) {
    const all = merged(found, shown);
    conversations.keep(id, all, false);
    if (!isOpen) return;
    const wasEmpty = shown.length === 0;
    messages.value = [...all];
    if (wasEmpty) scroller.toEnd();
  } else if (isOpen && shown.length === 0) {
    wanted = id;
    openHere(undefined);
    open();
  }
}

/**
 * Shows a reply that another tab or device, or the server, has started.
 * @param {Parameters<import('./line.js').LineEvents['available']>[0]} reply
 */
export async function join({ streamId, conversationId: id, question = '', replaces }) {
  const before = running.value.get(id)?.run;
  if (before?.isOf(streamId)) return;
  if (before) {
    // The answers of a conversation come one after the other: that one is over by then.
    await before.over;
    return before.isOf(streamId) ? undefined : refresh(id);
  }
  // Another tab of this browser may have stored the question and a part of the answer.
  const stored = conversations.messages(id).filter(({ pending }) => !pending);
  const from = stored.findIndex(({ number }) => number !== undefined && number === replaces);
  const all = withoutTurn(from < 0 ? stored : stored.slice(0, from), question);
  markLost(id, all);
  const known = all.length;
  const answer = Run.message({});
  answer.pending = { requestId: randomId(), streamId };
  all.push({ role: 'user', content: question }, answer);
  // It was opened before anything of it was known.
  if (current.value === undefined && wanted === id) openHere(id);
  show(id, all);
  start(id, all, true, false);
  // Other devices may have added more before.
  if (replaces !== undefined) return;
  await lookAtServer();
  const found = withoutTurn((await messagesOf(id)) ?? [], question, answer.content);
  if (found.length <= known || !answer.pending) return;
  all.splice(0, known, ...found);
  show(id, all);
}

/**
 * Marks what a server that has forgotten the conversation does not know: now, or once a list that is on its way shows it.
 * @param {string} id @param {readonly Message[]} all
 */
export function markLost(id, all) {
  const said = [...all];
  const mark = () => {
    if (forgotten.value.has(id)) for (const message of said) message.lost = true;
  };
  mark();
  void seen.then(mark);
}

/** @param {string} id @param {Message[]} all */
function show(id, all) {
  if (id !== current.value) return;
  messages.value = [...all];
  scroller.toEnd();
}

/** Gets the stored answer from the server when its stream can no longer be resumed. @param {string} id @param {Message[]} all */
export async function recover(id, all) {
  const [asked, answer] = /** @type {[Message, Message]} */ (all.slice(-2));
  await seen;
  const [question, whole] = (await messagesOf(id))?.slice(-2) ?? [];
  // The turn before may have the same answer.
  if (question?.content !== asked.content || !whole?.content.startsWith(answer.content)) return;
  answer.content = whole.content;
  delete answer.error;
  if (whole.error) answer.error = whole.error;
  if (whole.stopped) answer.stopped = true;
  conversations.keep(id, all, false);
}

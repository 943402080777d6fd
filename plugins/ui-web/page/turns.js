import { signal } from '@preact/signals';
import { announce } from './announcer.js';
import { choice, nameChoice } from './choice.js';
import { draft, draftOf, keepDraft, moveDraft, setDraft } from './drafts.js';
import { focusMessage, openHere } from './open.js';
import { randomId } from './random-id.js';
import { Run } from './run.js';
import { scroller } from './scroller.js';
import { askAgain, lookAtUser } from './session.js';
import {
  asking,
  conversations,
  current,
  edited,
  here,
  isOver,
  messages,
  removed,
  runHere,
  running,
  showEntries,
  showMessages,
} from './state.js';
import { lookAtServer, markLost, recover, refresh } from './sync.js';
import { setWaiting, takeBack, waiting } from './waiting.js';
import { words } from './words.js';

/**
 * @typedef {import('./conversations.js').Message} Message
 * @typedef {Pick<Message, 'content' | 'images'>} Written
 */

/** The draft that is sent again by itself. @type {import('@preact/signals').Signal<{ text: string, until: number } | undefined>} */
export const resent = signal(undefined);
/** Time after which a new conversation may have a title. */
const titleMs = 4000;
/** Changes with each run of an answer, whose view begins anew then. @type {WeakMap<Message, number>} */
export const attempts = new WeakMap();
/** Texts that were sent again by themselves: not once more. @type {Set<string>} */
const sentTwice = new Set();

/** Sends what is written; while an answer runs, after its end. @param {Written} written */
export function send(written) {
  const id = current.value;
  setDraft({ text: '' });
  resent.value = undefined;
  if (id !== undefined && runHere.value) setWaiting(id, [...(waiting.value.get(id) ?? []), written]);
  else ask(written);
  scroller.toEnd();
}

/** Asks in the open conversation. @param {Written} written @param {Message[]} [before] what the conversation goes on from @param {number} [replaces] */
function ask(written, before = messages.value, replaces = undefined) {
  let id = current.value;
  if (id === undefined) {
    id = randomId();
    moveDraft(id);
    nameChoice(id);
    openHere(id);
  }
  askIn(id, written, before, replaces);
  scroller.toEnd();
}

/** @param {string} id @param {Written} written @param {readonly Message[]} before @param {number} [replaces] */
function askIn(id, { content, images }, before, replaces) {
  /** @type {Message} */
  const question = { role: 'user', content, ...(images && { images }) };
  markLost(id, before);
  const all = [...before, question, Run.message(choice.value, replaces)];
  if (id === current.value) messages.value = all;
  start(id, all, true);
}

/**
 * Asks once more, also in other words: what was said from that question on is kept as another version.
 * @param {Message} question @param {string} [content]
 */
export async function replace(question, content = question.content) {
  const id = current.value;
  if (id === undefined || runHere.value || isOver.value) return;
  edited.value = undefined;
  if (question.number === undefined) await refresh(id);
  const at = messages.value.indexOf(question);
  if (at < 0 || id !== current.value || runHere.value) return;
  ask(
    { content, ...(question.images && { images: question.images }) },
    messages.value.slice(0, at),
    question.number,
  );
  focusMessage();
}

/** Starts the last message, which is an answer. @param {string} id @param {Message[]} all @param {boolean} isNews @param {boolean} [isOwn] asked here */
export function start(id, all, isNews, isOwn = true) {
  const { line } = here;
  const [question, answer] = /** @type {[Message, Message]} */ (all.slice(-2));
  if (!line) return;
  attempts.set(answer, (attempts.get(answer) ?? 0) + 1);
  conversations.keep(id, all, isNews);
  showEntries();
  const run = new Run({
    ...{ line, conversationId: id, question, message: answer },
    save: () => {
      if (conversations.find(id)) conversations.keep(id, all, false);
    },
  });
  setRunning(id, { run, messages: all });
  run.watchers.add({ asked: (isOpen) => showAsked(id, isOpen) });
  void run.over.then(() => ended(id, all, run, isOwn));
}

/** @param {string} id @param {Message[]} all @param {Run} run @param {boolean} isOwn */
async function ended(id, all, run, isOwn) {
  const answer = /** @type {Message} */ (all.at(-1));
  setRunning(id, undefined);
  if (answer.error?.code === 'STREAM_GONE') {
    await recover(id, all);
    attempts.set(answer, (attempts.get(answer) ?? 0) + 1);
  }
  if (run.needsUser) void askAgain();
  // The connection was renewed.
  else if (answer.pending && !isOver.value) return start(id, all, false, isOwn);
  showEntries();
  if (id === current.value) {
    showMessages();
    if (!answer.pending) announce(answer.error ? words.answerFailed : words.answerEnded);
  }
  if (answer.pending || removed.has(id)) return;
  void lookAtUser();
  if (run.wasRefused && isOwn) return giveBack(id, all, answer.error ?? {});
  if (answer.error) takeBack(id);
  await refresh(id);
  sendWaiting(id);
  // A model may give it a title meanwhile.
  if (all.length === 2) setTimeout(() => void lookAtServer(), titleMs);
}

/** Puts the text of a refused question back into the field, with the reason. @param {string} id @param {Message[]} all @param {NonNullable<Message['error']>} error */
function giveBack(id, all, error) {
  const [{ content = '' } = {}] = all.splice(-2);
  const others = (waiting.value.get(id) ?? []).map((written) => written.content);
  setWaiting(id, []);
  const refusal = { error, at: Date.now() };
  const isOpen = id === current.value;
  const text = [content, ...others, isOpen ? draft.value.text : draftOf(id).text]
    .filter(Boolean)
    .join('\n\n');
  if (isOpen) messages.value = [...all];
  if (all.length > 0 || conversations.find(id)?.known) conversations.keep(id, all, false);
  else conversations.remove(id);
  showEntries();
  if (!isOpen) return keepDraft(id, { text, refusal });
  if (!conversations.find(id)) {
    moveDraft(undefined);
    openHere(undefined);
  }
  setDraft({ text, refusal });
  void refresh(id);
  const { retryAfterMs } = error;
  if (!retryAfterMs || sentTwice.has(text)) return;
  sentTwice.add(text);
  resent.value = { text, until: Date.now() + retryAfterMs };
}

/** @param {string} id */
function sendWaiting(id) {
  const [next, ...rest] = waiting.value.get(id) ?? [];
  if (!next || running.value.has(id)) return;
  setWaiting(id, rest);
  askIn(id, next, id === current.value ? messages.value : conversations.messages(id));
}

/** Stops the answer of the open conversation. False if there is none. */
export function stop() {
  runHere.value?.run.stop();
  return runHere.value !== undefined;
}

/** @param {string} id @param {import('./state.js').Running | undefined} started */
function setRunning(id, started) {
  const changed = new Map(running.value);
  if (started) changed.set(id, started);
  else changed.delete(id);
  running.value = changed;
  showAsking();
}

/** A conversation waits for an approval, or no more. @param {string} id @param {boolean} isOpen */
function showAsked(id, isOpen) {
  showAsking();
  const title = conversations.find(id)?.title;
  if (isOpen && id !== current.value && title) announce(words.approvalWanted(title));
}

function showAsking() {
  const ids = [...running.value].filter(([, { run }]) => run.asks.size > 0).map(([id]) => id);
  asking.value = new Set(ids);
}

import { announce } from './announcer.js';
import { copy } from './clipboard.js';
import { linesOf, markdownOf } from './export.js';
import { addressOf, focusMessage, startNew } from './open.js';
import {
  conversations,
  current,
  forgotten,
  here,
  isOver,
  messages,
  notice,
  removed,
  running,
  showEntries,
} from './state.js';
import { lookAtServer, refresh } from './sync.js';
import { words } from './words.js';

/** @typedef {import('./conversations.js').Message} Message */

/** Deletes a conversation, with a way back. @param {string} id */
export async function remove(id) {
  if (isOver.value) return;
  const { server } = here;
  const started = running.value.get(id);
  started?.run.stop();
  const { title = '', known } = conversations.find(id) ?? {};
  const all = started?.messages ?? conversations.messages(id);
  const lines = linesOf(id, title, all);
  removed.add(id);
  conversations.remove(id);
  if (id === current.value) startNew();
  showEntries();
  focusMessage();
  announce(words.deleted);
  await started?.run.over;
  // A request for an unknown conversation would show as an error in the browser's console.
  const wasAsked = (/** @type {Message} */ { role, pending, agent, error }) =>
    role === 'assistant' && !pending && (agent !== undefined || !error);
  const isKnown = server !== undefined && !forgotten.value.has(id) && (known || all.some(wasAsked));
  let saved = lines;
  try {
    if (isKnown) {
      saved = await server.export(id);
      await server.remove(id);
    }
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'CONVERSATION_UNKNOWN') {
      removed.delete(id);
      notice.value = { text: words.notDeleted };
      return lookAtServer();
    }
  }
  if (saved === '' || !server) return;
  const act = () => void restore(id, saved);
  notice.value = { text: words.deletedTitle(title), label: words.undo, act };
}

/** @param {string} id @param {string} lines of an export */
async function restore(id, lines) {
  notice.value = undefined;
  removed.delete(id);
  try {
    await here.server?.import(lines);
    await lookAtServer();
    location.hash = addressOf(id);
  } catch {
    notice.value = { text: words.notRestored };
  }
}

/** Gives a conversation back to a server that has forgotten it. @param {string} id */
export async function sendAlong(id) {
  const { title = '' } = conversations.find(id) ?? {};
  try {
    await here.server?.import(linesOf(id, title, messages.value));
    for (const message of messages.value) delete message.lost;
    await refresh(id);
  } catch {
    notice.value = { text: words.notSentAlong };
  }
}

/** @param {string} id @param {string} title */
export async function rename(id, title) {
  try {
    const known = conversations.find(id)?.known && here.server;
    conversations.change(id, { title: known ? await known.rename(id, title) : title });
    showEntries();
  } catch {
    notice.value = { text: words.notRenamed };
  }
}

/** @param {string} id */
export function pin(id) {
  conversations.change(id, { pinned: !conversations.find(id)?.pinned });
  showEntries();
}

/** Shows another version of the conversation from a question on. @param {Message} question @param {number} at its time */
export function showVersion({ number = 0 }, at) {
  return change((server, id) => server.showVersion(id, number, at));
}

/** Deletes a question and its answer. @param {Message} question */
export function removeTurn({ number = 0 }) {
  return change((server, id) => server.removeTurn(id, number));
}

/** @param {(server: NonNullable<typeof here.server>, id: string) => Promise<void>} work */
async function change(work) {
  const { server } = here;
  const id = current.value;
  if (!server || id === undefined || running.value.has(id)) return;
  await work(server, id).catch(() => {
    notice.value = { text: words.notChanged };
  });
  await refresh(id);
}

/** @param {'md' | 'json'} kind */
export async function download(kind) {
  const id = current.value;
  const { title = words.conversation } = conversations.find(id ?? '') ?? {};
  if (id === undefined) return;
  const isThere = here.server && conversations.find(id)?.known && !forgotten.value.has(id);
  const lines = async () =>
    (isThere && (await here.server?.export(id).catch(() => undefined))) || linesOf(id, title, messages.value);
  const text = kind === 'md' ? markdownOf(title, messages.value) : await lines();
  const name = `${title.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 60) || 'waggle'}.${kind === 'md' ? 'md' : 'jsonl'}`;
  const address = URL.createObjectURL(
    new Blob([text], { type: kind === 'md' ? 'text/markdown' : 'application/x-ndjson' }),
  );
  Object.assign(document.createElement('a'), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Imports conversations of an export. @param {File} file */
export async function upload(file) {
  const { server } = here;
  if (!server) return;
  try {
    const { imported } = await server.import(await file.text());
    notice.value = { text: imported.length > 0 ? words.imported(imported.length) : words.alreadyThere };
    await lookAtServer();
    const [first] = imported;
    if (first) location.hash = addressOf(first.conversation_id);
  } catch (error) {
    notice.value = { text: words.notImported(/** @type {Error} */ (error).message) };
  }
}

/** Copies the address of the open conversation. */
export async function copyLink() {
  await copy(location.href).then(
    () => announce(words.copied),
    () => announce(words.notCopied),
  );
}

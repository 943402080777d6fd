import { effect } from '@preact/signals';
import { render } from 'preact';
import { announce } from './announcer.js';
import { startDrop } from './attachment-list.js';
import { saveDraft } from './drafts.js';
import { sideCovers, toggleSide } from './drawer.js';
import { html } from './html.js';
import { Line } from './line.js';
import { lookAtAgents } from './look-at-agents.js';
import { focusMessage, onOpened, open, startNew } from './open.js';
import { Page } from './page.js';
import { focusSearch } from './search.js';
import { endpoints, unauthorized } from './server.js';
import { ServerConversations } from './server-conversations.js';
import { askAgain, begin, lookAtUser, renew } from './session.js';
import { startShortcuts } from './shortcuts.js';
import {
  connection,
  conversations,
  current,
  dialog,
  entry,
  here,
  isOver,
  messages,
  offered,
  running,
  showEntries,
  showMessages,
} from './state.js';
import { progressOf } from './steps.js';
import { onStored } from './storage.js';
import { fetchMessages, join, lookAtServer } from './sync.js';
import { start, stop } from './turns.js';
import { takeBack, waiting } from './waiting.js';
import { language, words } from './words.js';

document.documentElement.lang = language ?? 'en';
const place = /** @type {HTMLElement} */ (document.getElementById('page'));
render(html`<${Page} />`, place);
offered.value = await endpoints().catch(() => ({}));
await begin(() => {
  resumeAll();
  focusMessage();
  void lookAtServer();
  void lookAtUser();
});
if ('conversations' in offered.value) here.server = new ServerConversations(here.userId);
// Those of this user, which may be of this tab alone.
conversations.read();
showEntries();

let wasLost = false;
here.line = new Line(here.userId, {
  entered: (state) => {
    connection.value = state;
    if (state === 'open' && wasLost) {
      announce(words.reconnected);
      // A server that has started again may have forgotten conversations.
      void lookAtServer();
    }
    wasLost = state === 'reconnecting';
    if (state === 'signed-out') void askAgain();
    if (state === 'open') void lookAtAgents();
  },
  expiring: () => void renew(words.signInEnds, true),
  available: (reply) => void join(reply),
});

effect(() => {
  const title = entry.value?.title || words.newConversation;
  document.title = current.value === undefined ? 'Waggle' : `${title} – Waggle`;
});
addEventListener('hashchange', open);
addEventListener('popstate', open);
addEventListener('pagehide', () => {
  for (const id of waiting.value.keys()) takeBack(id);
  saveDraft();
  for (const [id, { messages: all }] of running.value)
    if (conversations.find(id)) conversations.keep(id, all, false);
});
addEventListener(unauthorized, () => void askAgain());
// Another tab has stored something.
onStored((name) => {
  const id = current.value;
  if (name === 'conversations') {
    conversations.read();
    return showEntries();
  }
  if (id === undefined || name !== `messages:${id}` || running.value.has(id)) return;
  const stored = conversations.messages(id);
  if (progressOf(stored) !== progressOf(messages.value)) messages.value = stored;
});
// Other devices may have gone on meanwhile.
document.addEventListener('visibilitychange', () => {
  if (document.hidden || isOver.value) return;
  void lookAtServer();
  if (current.value !== undefined && messages.value.length > 0) void fetchMessages(current.value);
  void lookAtUser();
});
startDrop();
startShortcuts({
  stop: () => {
    if (!sideCovers.value) return stop();
    toggleSide();
    return true;
  },
  startNew,
  toggleSide,
  showHelp: () => {
    dialog.value = { kind: 'keys' };
  },
  toMessage: focusMessage,
  toSearch: focusSearch,
});

resumeAll();
void lookAtServer(true);
onOpened.add((id) => void fetchMessages(id));
open();
// On touch devices the focus would open the on-screen keyboard.
if (matchMedia('(hover: hover)').matches) focusMessage();

/** Resumes answers that were running when the page was left or signed out. */
function resumeAll() {
  for (const { id, pending } of conversations.entries) {
    if (!pending || running.value.has(id)) continue;
    const left = id === current.value ? messages.value : conversations.messages(id);
    if (left.at(-1)?.pending) start(id, left, false);
  }
  showMessages();
}

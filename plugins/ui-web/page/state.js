import { computed, signal } from '@preact/signals';
import { Conversations } from './conversations.js';

/**
 * The state of the chat page, in one place. Views are functions of it.
 * @typedef {import('./conversations.js').Message} Message
 * @typedef {import('./conversations.js').Entry} Entry
 * @typedef {import('./line.js').LineState} LineState
 * @typedef {{ run: import('./run.js').Run, messages: Message[] }} Running
 * @typedef {{ text: string, label?: string, act?: () => void }} Notice with a label and an action, a button
 * @typedef {{ kind: 'keys' } | { kind: 'rename' | 'delete', id: string } | { kind: 'settings' }
 *   | { kind: 'delete-turn', message: Message }} Dialog
 */

/** What this browser has stored of the conversations: a cache of the server's. */
export const conversations = new Conversations();

/** @type {import('@preact/signals').Signal<LineState>} */
export const connection = signal('connecting');
/** @type {import('@preact/signals').Signal<Notice | undefined>} */
export const notice = signal(undefined);
/** The signed-in user; null in an open server. @type {import('@preact/signals').Signal<import('./server.js').User | null>} */
export const user = signal(null);
export const isSignedOut = signal(false);
/** True if this tab is disconnected and will not reconnect by itself. */
export const isOver = computed(() => isSignedOut.value || connection.value === 'refused');

/** Endpoints of the server by name. @type {import('@preact/signals').Signal<Readonly<Record<string, string>>>} */
export const offered = signal({});
/** @type {import('@preact/signals').Signal<readonly import('./server.js').AgentStatus[] | undefined>} */
export const agents = signal(undefined);

/** The list at the side. @type {import('@preact/signals').Signal<readonly Entry[]>} */
export const entries = signal(conversations.entries);
/** The id of the open conversation; undefined for a new one. @type {import('@preact/signals').Signal<string | undefined>} */
export const current = signal(undefined);
/** The messages of the open conversation. @type {import('@preact/signals').Signal<Message[]>} */
export const messages = signal([]);
/** Running answers, by conversation. @type {import('@preact/signals').Signal<ReadonlyMap<string, Running>>} */
export const running = signal(new Map());
/** Conversations that wait for an approval. @type {import('@preact/signals').Signal<ReadonlySet<string>>} */
export const asking = signal(new Set());
/** Conversations that the browser has and the server has forgotten. @type {import('@preact/signals').Signal<ReadonlySet<string>>} */
export const forgotten = signal(new Set());
/** Conversations that were deleted here, whatever an older list of the server says. @type {Set<string>} */
export const removed = new Set();
/** The question that is being edited. @type {import('@preact/signals').Signal<Message | undefined>} */
export const edited = signal(undefined);

/** @type {import('@preact/signals').Signal<Dialog | undefined>} */
export const dialog = signal(undefined);

export const entry = computed(() => entries.value.find(({ id }) => id === current.value));
export const runHere = computed(() => running.value.get(current.value ?? ''));

/** Things of this page that never change once they are known. */
export const here = {
  /** For requests; undefined for the user of the credentials. @type {string | undefined} */
  userId: undefined,
  /** The name of this browser in an open server, which is a secret. */
  openUser: '',
  /** @type {import('./line.js').Line | undefined} */
  line: undefined,
  /** Undefined where the server does not list conversations. @type {import('./server-conversations.js').ServerConversations | undefined} */
  server: undefined,
};

/** Takes over the stored list. */
export function showEntries() {
  entries.value = [...conversations.entries];
}

/** Shows what has changed in the messages. */
export function showMessages() {
  messages.value = [...messages.value];
}

/** A user as this page calls them. In an open server the names are secrets. @param {string} by */
export function isSelf(by) {
  return by === (user.value?.id ?? here.openUser);
}

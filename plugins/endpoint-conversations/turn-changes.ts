import {
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type NumberedMessage,
  WaggleError,
} from '#kernel';

/** The time of a version: that of its question. Those of an import may have none, and count from the first on. */
export function timeOf([question]: readonly ChatMessage[], index: number): number {
  return question?.at ?? index;
}

/** Shows another version of a conversation from a question on, and keeps the present one. @throws MESSAGE_UNKNOWN, as `changed` */
export async function showVersion(
  store: ConversationStore,
  key: ConversationKey,
  number: number,
  at: number,
): Promise<void> {
  await changed(store, key, number, ([question, ...rest]) => {
    const { versions = [], ...asked } = question as ChatMessage;
    const wanted = versions.find((version, index) => timeOf(version, index) === at);
    const [first, ...others] = wanted ?? [];
    if (!first)
      throw new WaggleError('MESSAGE_UNKNOWN', { number, what: `version of the time ${at} of the question` });
    const kept = [...versions.filter((version) => version !== wanted), [asked, ...rest]];
    return [{ ...first, versions: kept }, ...others];
  });
}

/** Deletes a question with its answer. @throws as `changed` */
export async function deleteTurn(
  store: ConversationStore,
  key: ConversationKey,
  number: number,
): Promise<void> {
  await changed(store, key, number, ([, ...rest]) => {
    const next = rest.findIndex(({ role }) => role === 'user');
    return next < 0 ? [] : rest.slice(next);
  });
}

/** Attempts, while others change the conversation at the same time. */
const attempts = 20;

/** Replaces the messages from a question on, unless others come meanwhile: they are looked at first. @throws CONVERSATION_UNKNOWN, MESSAGE_UNKNOWN, NOT_IMPLEMENTED */
async function changed(
  store: ConversationStore,
  key: ConversationKey,
  number: number,
  change: (messages: readonly ChatMessage[]) => readonly ChatMessage[],
): Promise<void> {
  if (!store.page || !store.replace) throw new WaggleError('NOT_IMPLEMENTED', { what: 'replace messages' });
  for (let attempt = 0; attempt < attempts; attempt++) {
    const all: readonly NumberedMessage[] = await store.page(key, { limit: Number.MAX_SAFE_INTEGER });
    if (all.length === 0) throw new WaggleError('CONVERSATION_UNKNOWN', key);
    const at = all.findIndex((each) => each.number === number);
    if (all[at]?.message.role !== 'user') break;
    const next = change(all.slice(at).map(({ message }) => message));
    if (await store.replace(key, number, next, all.at(-1)?.number)) return;
  }
  throw new WaggleError('MESSAGE_UNKNOWN', { number, what: 'question' });
}

import {
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type NumberedMessage,
  WaggleError,
} from '#kernel';

/** A conversation in which a turn takes the place of a question and of what was said after it. */
export interface Place {
  /** The messages before the question. */
  readonly history: readonly ChatMessage[];
  /** The other versions from there on, the replaced one last. */
  readonly versions: readonly (readonly ChatMessage[])[];
}

/** Finds the place of a question. @throws NOT_IMPLEMENTED, MESSAGE_UNKNOWN */
export async function placeOf(
  store: ConversationStore,
  key: ConversationKey,
  number: number,
  limit: number,
): Promise<Place> {
  if (!store.page || !store.replace) throw new WaggleError('NOT_IMPLEMENTED', { what: 'replace messages' });
  const all = await store.page(key, { limit });
  const at = all.findIndex((each) => each.number === number);
  const [question, ...rest] = all.slice(at).map(({ message }: NumberedMessage) => message);
  if (at < 0 || question?.role !== 'user')
    throw new WaggleError('MESSAGE_UNKNOWN', { number, what: 'question' });
  const { versions = [], ...asked } = question;
  const history = all.slice(0, at).map(({ message }) => message);
  // A question without an answer is no version.
  const isAnswered = rest.some(({ role, content }) => role === 'assistant' && content !== '');
  return { history, versions: isAnswered ? [...versions, [asked, ...rest]] : versions };
}

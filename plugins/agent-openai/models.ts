import { ExchangeError, soundsLikeChat } from '#sdk/upstream';

type Fields = Readonly<Record<string, unknown>>;

const answering =
  /^(chat|llm|vlm|language|text|completions?|chat[_.-]completions?|text-generation|image-text-to-text|conversational)$/i;
/** Places where servers state the purpose of a model. */
const uses: readonly ((entry: Fields) => unknown)[] = [
  ({ type }) => (type === 'model' ? undefined : type),
  ({ mode }) => mode,
  ({ task, pipeline_tag: tag }) => task ?? tag,
  ({ capabilities }) => capabilities,
  ({ endpoints }) => endpoints,
  ({ architecture }) => (architecture as Fields | undefined)?.output_modalities,
];

/** Names of the models in a list that can chat; always includes `wanted` if listed. @throws ExchangeError */
export function modelsIn(text: string, wanted: string): readonly string[] {
  return entriesIn(text).flatMap((entry) => {
    const { id, name, model } = typeof entry === 'string' ? { id: entry } : ((entry ?? {}) as Fields);
    const given = [id, name, model].find((each) => typeof each === 'string' && each !== '') as
      | string
      | undefined;
    if (given === undefined) return [];
    return given === wanted || canChat(entry as Fields, given) ? [given] : [];
  });
}

function canChat(entry: Fields, name: string): boolean {
  for (const use of uses) {
    const said = answersBy(use(entry));
    if (said !== undefined) return said;
  }
  return soundsLikeChat(name);
}

function answersBy(use: unknown): boolean | undefined {
  if (typeof use === 'string') return use === '' ? undefined : answering.test(use);
  if (Array.isArray(use)) {
    const words = use.filter((each) => typeof each === 'string');
    if (words.some((word) => answering.test(word))) return true;
    return words.some((word) => /embed|rerank/i.test(word)) ? false : undefined;
  }
  // Mistral's format.
  const { completion_chat: chats } = (use ?? {}) as Fields;
  return typeof chats === 'boolean' ? chats : undefined;
}

function entriesIn(text: string): readonly unknown[] {
  try {
    const list = JSON.parse(text) as { readonly data?: unknown; readonly models?: unknown };
    const entries = [list, list.data, list.models].find(Array.isArray);
    if (entries) return entries;
  } catch {} // Reported below.
  throw new ExchangeError('CONTENT_TYPE', 'its list of models cannot be read');
}

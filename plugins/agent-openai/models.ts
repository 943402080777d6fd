import type { ModelCapability, ModelDetails } from '#kernel';
import { ExchangeError, soundsLikeChat, soundsLikeEmbedding } from '#sdk/upstream';

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
  ({ architecture }) => fieldsOf(architecture).output_modalities,
];

/** Places where servers state what else a model can do: words, or fields that are true. */
const abilities: readonly ((entry: Fields) => unknown)[] = [
  (entry) => entry,
  // Without the modalities of answers: an image there is drawn, not seen.
  ...uses.slice(0, -1),
  ({ supported_parameters: parameters, supported_features: features }) => [parameters, features].flat(),
  ({ architecture }) => fieldsOf(architecture).input_modalities,
  ({ input_modalities, supported_input_modalities }) => input_modalities ?? supported_input_modalities,
  ({ capabilities }) => fieldsOf(capabilities).supports,
];
/** The words of servers for an ability. */
const words: readonly (readonly [ModelCapability, RegExp])[] = [
  ['tools', /^(supports_)?(tools?|tool[_-]?(use|calls?|calling)|function[_-]?call(s|ing)?)$/i],
  ['vision', /^(supports_)?(vision|image|image_input|multimodal|vlm|image-text-to-text)$/i],
  ['thinking', /^(supports_)?(thinking|reasoning)$/i],
  ['embedding', /^(supports_)?(embed(dings?)?|text-embeddings?|feature-extraction|sentence-similarity)$/i],
];

/** Places where servers state the context window. The first that has a number counts: the one in use before the largest. */
const lengths: readonly ((entry: Fields) => unknown)[] = [
  ({ meta }) => fieldsOf(meta).n_ctx,
  ({ loaded_context_length: length }) => length,
  ({ max_model_len: length }) => length,
  ({ top_provider: provider }) => fieldsOf(provider).context_length,
  ({ context_length: length }) => length,
  ({ context_window: length }) => length,
  ({ max_context_length: length }) => length,
  ({ max_input_tokens: length }) => length,
  ({ meta }) => fieldsOf(meta).n_ctx_train,
  ({ metadata }) => fieldsOf(metadata).context_length,
  ({ capabilities }) => fieldsOf(fieldsOf(capabilities).limits).max_context_window_tokens,
];

/** Whether a list is that of an older llama-server, which tells the window of the training, but not the one in use. */
export function lacksWindowInUse(text: string): boolean {
  return /"n_ctx_train":/.test(text) && !/"n_ctx":/.test(text);
}

/** The context window in the answer of `/props` of llama-server; undefined where there is none. */
export function windowInProps(text: string): number | undefined {
  try {
    const props = fieldsOf(JSON.parse(text));
    const window = fieldsOf(props.default_generation_settings).n_ctx ?? props.n_ctx;
    return isLength(window) ? window : undefined;
  } catch {
    return undefined;
  }
}

/** The models in a list. @throws ExchangeError */
export function modelsIn(text: string): readonly ModelDetails[] {
  const { entries, more } = listsIn(text);
  const found = new Map(more.map((entry) => [nameOf(entry), entry]));
  return entries.flatMap((entry) => {
    const name = nameOf(entry);
    if (name === undefined) return [];
    const fields = { ...fieldsOf(found.get(name)), ...fieldsOf(entry) };
    const capabilities = capabilitiesOf(fields, name);
    const contextLength = lengths.map((length) => length(fields)).find(isLength);
    return { name, ...(capabilities && { capabilities }), ...(contextLength && { contextLength }) };
  });
}

function nameOf(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry || undefined;
  const { id, name, model } = fieldsOf(entry);
  return [id, name, model].find((each): each is string => typeof each === 'string' && each !== '');
}

/** The capabilities as far as they are stated; a guess by its name for a model that cannot chat; undefined for none. */
function capabilitiesOf(entry: Fields, name: string): readonly ModelCapability[] | undefined {
  const stated = new Set(abilities.flatMap((ability) => statedIn(ability(entry))));
  const chats = uses.map((use) => answersBy(use(entry))).find((each) => each !== undefined);
  if (chats ?? soundsLikeChat(name))
    return chats === undefined && stated.size === 0 ? undefined : ['completion', ...stated];
  const embeds = uses.some((use) => statedIn(use(entry)).includes('embedding'));
  return embeds || soundsLikeEmbedding(name) ? ['embedding'] : [];
}

function statedIn(ability: unknown): readonly ModelCapability[] {
  const said =
    typeof ability === 'string'
      ? [ability]
      : Array.isArray(ability)
        ? ability.filter((each) => typeof each === 'string')
        : Object.entries(fieldsOf(ability)).flatMap(([name, value]) => (value === true ? name : []));
  return words.filter(([, word]) => said.some((each) => word.test(each))).map(([capability]) => capability);
}

function answersBy(use: unknown): boolean | undefined {
  if (typeof use === 'string') return use === '' ? undefined : answering.test(use);
  if (Array.isArray(use)) {
    const words = use.filter((each) => typeof each === 'string');
    if (words.some((word) => answering.test(word))) return true;
    return words.some((word) => /embed|rerank/i.test(word)) ? false : undefined;
  }
  // Mistral's format.
  const { completion_chat: chats } = fieldsOf(use);
  return typeof chats === 'boolean' ? chats : undefined;
}

function isLength(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** The entries of a list; `more` about them is in a second list, as llama.cpp has it. */
function listsIn(text: string): { readonly entries: readonly unknown[]; readonly more: readonly unknown[] } {
  try {
    const list = JSON.parse(text) as { readonly data?: unknown; readonly models?: unknown };
    const [entries, more = []] = [list, list.data, list.models].filter(Array.isArray);
    if (entries) return { entries, more };
  } catch {} // Reported below.
  throw new ExchangeError('CONTENT_TYPE', 'its list of models cannot be read');
}

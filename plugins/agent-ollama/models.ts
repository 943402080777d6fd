import type { ModelCapability, ModelDetails } from '#kernel';
import { soundsLikeChat, soundsLikeEmbedding } from '#sdk/upstream';

/** A model as in `/api/tags`; older versions list neither capabilities nor the context length. */
export interface Installed {
  readonly name: string;
  readonly digest?: unknown;
  readonly capabilities?: unknown;
  readonly details?: { readonly family?: unknown; readonly context_length?: unknown } | null;
}

/** The answer of `/api/show`, as far as it matters. */
export interface Shown {
  readonly capabilities?: unknown;
  readonly model_info?: Readonly<Record<string, unknown>> | null;
}

/** Facts about one model. */
export type Facts = Omit<ModelDetails, 'name'>;

const known: readonly ModelCapability[] = ['completion', 'tools', 'vision', 'thinking', 'embedding'];

/** Facts that a list states about a model. */
export function factsInList({ capabilities, details }: Installed): Facts {
  return factsOf(capabilities, details?.context_length);
}

/** Facts in the answer of `/api/show`. */
export function factsInShown({ capabilities, model_info: info }: Shown): Facts {
  const lengths = Object.entries(info ?? {}).filter(([key]) => key.endsWith('.context_length'));
  return factsOf(capabilities, lengths[0]?.[1]);
}

/** A guess by its family, else by its name, for a model whose capabilities are not stated; none for one that may chat. */
export function guessedFacts({ name, details }: Installed): Facts {
  const { family } = details ?? {};
  const isEmbedding = typeof family === 'string' && /bert|embed/i.test(family);
  if (isEmbedding || soundsLikeEmbedding(name)) return { capabilities: ['embedding'] };
  const isOther = typeof family === 'string' && /clip/i.test(family);
  return isOther || !soundsLikeChat(name) ? { capabilities: [] } : {};
}

function factsOf(capabilities: unknown, length: unknown): Facts {
  return {
    ...(Array.isArray(capabilities) &&
      capabilities.length > 0 && { capabilities: known.filter((each) => capabilities.includes(each)) }),
    ...(typeof length === 'number' && length > 0 && { contextLength: length }),
  };
}

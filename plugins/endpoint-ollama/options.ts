import type { ChatOptions, ProviderOptions } from '#kernel';
import type { AnsweredBody } from './body.js';

/** Options that other model servers know under the same name. */
const shared = ['top_k', 'min_p', 'typical_p', 'repeat_penalty'] as const;
const known = new Set<string>([
  ...['num_predict', 'temperature', 'top_p', 'seed', 'stop', 'presence_penalty', 'frequency_penalty'],
  ...shared,
]);

type Given = AnsweredBody['options'];

/** Options of a request in the form of agents. */
export function optionsOf({ options, format, think, keep_alive, truncate }: AnsweredBody): ChatOptions {
  const {
    num_predict: most,
    temperature,
    top_p,
    seed,
    stop,
    presence_penalty,
    frequency_penalty,
  } = options ?? {};
  const stops = (typeof stop === 'string' ? [stop] : (stop ?? [])).filter((each) => each !== '');
  const more = Object.fromEntries(
    shared.flatMap((name) => (options?.[name] == null ? [] : [[name, options[name]]])),
  );
  return {
    temperature: temperature ?? undefined,
    topP: top_p ?? undefined,
    // Ollama draws a seed of its own for -1.
    seed: seed == null || seed < 0 ? undefined : seed,
    maxTokens: most != null && most >= 1 ? most : undefined,
    presencePenalty: presence_penalty ?? undefined,
    frequencyPenalty: frequency_penalty ?? undefined,
    stop: stops.length > 0 ? stops : undefined,
    format: format || undefined,
    truncate: truncate === false ? false : undefined,
    reasoningEffort: think === false ? 'none' : think && think !== true ? think : undefined,
    ...(Object.keys(more).length > 0 && { more }),
    ...ollamaOptions(options, { think: think === true || undefined, keep_alive }),
  };
}

/** Options for agents on an Ollama server, under its names. */
export function ollamaOptions(
  options: Given,
  more: Readonly<Record<string, unknown>>,
): { readonly providerOptions?: ProviderOptions } {
  const own = Object.entries(options ?? {}).filter(([name, value]) => !known.has(name) && value != null);
  const rest = Object.entries(more).filter(([, value]) => value != null);
  if (own.length === 0 && rest.length === 0) return {};
  const ollama = {
    ...Object.fromEntries(rest),
    ...(own.length > 0 && { options: Object.fromEntries(own) }),
  };
  return { providerOptions: { ollama } };
}

import type { ChatRequest as OllamaRequest } from 'ollama/browser';
import type { ChatOptions } from '#kernel';
import type { Config } from './config.js';

/** Ollama's option names (modelfile.md) by the names of other APIs. */
const names: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      ...['top_k', 'min_p', 'typical_p', 'tfs_z', 'repeat_penalty', 'repeat_last_n', 'penalize_newline'],
      ...[
        'mirostat',
        'mirostat_tau',
        'mirostat_eta',
        'num_ctx',
        'num_keep',
        'num_batch',
        'num_gpu',
        'num_thread',
      ],
    ].map((name) => [name, name]),
  ),
  repetition_penalty: 'repeat_penalty',
};
/** Fields that are handled elsewhere, or that do not concern the model. */
const used = new Set([
  'user',
  'metadata',
  'options',
  'keep_alive',
  'think',
  'chat_template_kwargs',
  'enable_thinking',
  'logprobs',
  'top_logprobs',
]);

type More = NonNullable<ChatOptions['more']>;

/** Options of a request under the names of other APIs. */
export function moreOptions({ options, ...more }: More): Readonly<Record<string, unknown>> {
  const own = typeof options === 'object' && options !== null ? options : {};
  const known = Object.entries(more).flatMap(([name, value]) =>
    Object.hasOwn(names, name) ? [[names[name], value]] : [],
  );
  return { ...own, ...Object.fromEntries(known) };
}

/** The part of a request for Ollama alone. */
interface OwnOptions {
  readonly think?: unknown;
  readonly keep_alive?: unknown;
  readonly options?: object;
}

/** Fields of a request that only Ollama knows, under its names. */
export function ownOptions({ providerOptions }: Pick<ChatOptions, 'providerOptions'>): OwnOptions {
  const { think, keep_alive: keepAlive, options } = providerOptions?.ollama ?? {};
  return {
    think,
    keep_alive: keepAlive,
    ...(typeof options === 'object' && options !== null && { options }),
  };
}

/** The context window that a request sets. */
export function numCtxOf(options: ChatOptions = {}): number | undefined {
  const { more } = options;
  return numCtxIn(ownOptions(options).options) ?? (more && numCtxIn(moreOptions(more)));
}

/** The same in options under Ollama's names. */
export function numCtxIn(options: object = {}): number | undefined {
  const { num_ctx: tokens } = options as { readonly num_ctx?: unknown };
  return typeof tokens === 'number' && tokens > 0 ? tokens : undefined;
}

/** The thinking setting in the fields of chat templates. */
export function thinkIn(more: More): unknown {
  const { enable_thinking: think } = (more.chat_template_kwargs ?? {}) as {
    readonly enable_thinking?: unknown;
  };
  return more.think ?? more.enable_thinking ?? think;
}

/** Fields of a request that Ollama does not support. */
export function ignoredBy(options: ChatOptions): readonly string[] {
  const { more = {}, toolChoice, parallelToolCalls, tools = [] } = options;
  const kwargs = (more.chat_template_kwargs ?? {}) as Readonly<Record<string, unknown>>;
  return [
    ...Object.keys(more).filter((name) => !used.has(name) && !Object.hasOwn(names, name)),
    ...Object.keys(kwargs).flatMap((name) =>
      name === 'enable_thinking' ? [] : `chat_template_kwargs.${name}`,
    ),
    ...(toolChoice === 'required' || typeof toolChoice === 'object' ? ['tool_choice'] : []),
    ...(parallelToolCalls === false ? ['parallel_tool_calls'] : []),
    ...(tools.some(({ strict }) => strict) ? ['tools[].function.strict'] : []),
  ];
}

type Asked = OllamaRequest & { readonly stream: true };

/** The request with the options of the config as defaults, and before those a context window that was chosen for it. */
export function withConfiguredOptions(
  request: Asked,
  { think, keepAlive, numCtx, options }: Pick<Config, 'think' | 'keepAlive' | 'numCtx' | 'options'>,
  size?: number,
): Asked {
  return {
    ...(think !== undefined && { think: thinkFor(think) }),
    ...(keepAlive !== undefined && keepAlive !== '' && { keep_alive: keepAliveFor(keepAlive) }),
    ...request,
    options: {
      ...(size !== undefined && { num_ctx: size }),
      ...options,
      ...(numCtx !== undefined && { num_ctx: numCtx }),
      ...request.options,
    },
  };
}

// The types of the client lack some levels.
function thinkFor(think: NonNullable<Config['think']>): NonNullable<OllamaRequest['think']> {
  return (think === 'true' ? true : think === 'false' ? false : think) as boolean;
}

/** Ollama accepts seconds only as a number, because the text `-1` has no unit. */
export function keepAliveFor(keepAlive: string | number): string | number {
  return typeof keepAlive === 'string' && /^-?\d+$/.test(keepAlive.trim()) ? Number(keepAlive) : keepAlive;
}

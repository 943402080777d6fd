import type { ChatRequest as OllamaRequest } from 'ollama/browser';
import type { ChatOptions } from '#kernel';
import type { Config } from './config.js';

/** By their names in OpenAI's API, or in the one that the name comes from: what Ollama calls it (modelfile.md). */
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
/** What it has no place for, and what this server itself makes use of. */
const used = new Set([
  'user',
  'metadata',
  'options',
  'keep_alive',
  'think',
  'chat_template_kwargs',
  'enable_thinking',
]);

type More = NonNullable<ChatOptions['more']>;

/** The options that a request names in other words. */
export function moreOptions({ options, ...more }: More): Readonly<Record<string, unknown>> {
  const own = typeof options === 'object' && options !== null ? options : {};
  const known = Object.entries(more).flatMap(([name, value]) =>
    Object.hasOwn(names, name) ? [[names[name], value]] : [],
  );
  return { ...own, ...Object.fromEntries(known) };
}

/** Whether the model shall think, where a request says so in the words of its template. */
export function thinkIn(more: More): unknown {
  const { enable_thinking: think } = (more.chat_template_kwargs ?? {}) as {
    readonly enable_thinking?: unknown;
  };
  return more.think ?? more.enable_thinking ?? think;
}

/** What of a request Ollama cannot be told. */
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

/** The request with what the config asks for where the client has asked for nothing else. */
export function withOwnOptions(
  request: Asked,
  { think, keepAlive, numCtx, options }: Pick<Config, 'think' | 'keepAlive' | 'numCtx' | 'options'>,
): Asked {
  return {
    ...(think !== undefined && { think: thinkFor(think) }),
    ...(keepAlive !== undefined && keepAlive !== '' && { keep_alive: keepAliveFor(keepAlive) }),
    ...request,
    options: { ...options, ...(numCtx !== undefined && { num_ctx: numCtx }), ...request.options },
  };
}

// Its own types do not know every level.
function thinkFor(think: NonNullable<Config['think']>): NonNullable<OllamaRequest['think']> {
  return (think === 'true' ? true : think === 'false' ? false : think) as boolean;
}

/** Ollama takes seconds as a number only: the text `-1` has no unit. */
function keepAliveFor(keepAlive: string | number): string | number {
  return typeof keepAlive === 'string' && /^-?\d+$/.test(keepAlive.trim()) ? Number(keepAlive) : keepAlive;
}

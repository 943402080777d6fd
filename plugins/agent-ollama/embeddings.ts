import type { Embeddings, EmbedRequest } from '#kernel';
import { ExchangeError, faultIn, modelError } from '#sdk/upstream';
import type { Config } from './config.js';
import { keepAliveFor, moreOptions, ownOptions } from './options.js';

type Fields = Readonly<Record<string, unknown>>;

/** Body of `/api/embed`. Absent options stay unset, so that the defaults of Ollama apply. */
export function embedBodyOf(
  { input, dimensions, truncate, more = {}, providerOptions }: EmbedRequest,
  model: string,
  { keepAlive, numCtx, options }: Pick<Config, 'keepAlive' | 'numCtx' | 'options'>,
): object {
  const own = ownOptions({ providerOptions });
  const keep =
    own.keep_alive ??
    more.keep_alive ??
    (keepAlive === undefined || keepAlive === '' ? undefined : keepAliveFor(keepAlive));
  return {
    model,
    input,
    ...(truncate !== undefined && { truncate }),
    ...(dimensions !== undefined && { dimensions }),
    ...(keep !== undefined && { keep_alive: keep }),
    options: {
      ...options,
      ...(numCtx !== undefined && { num_ctx: numCtx }),
      ...moreOptions(more),
      ...own.options,
    },
  };
}

/** The answer of `/api/embed`; its vectors are not validated. @throws ExchangeError, ModelError */
export function embeddingsIn(text: string): Embeddings {
  const answer = fieldsIn(text);
  const fault = answer.embeddings === undefined ? faultIn(answer) : undefined;
  if (fault) throw modelError(fault);
  const { embeddings, model, prompt_eval_count: input } = answer;
  return {
    embeddings: embeddings as Embeddings['embeddings'],
    ...(typeof input === 'number' &&
      Number.isFinite(input) && { usage: { inputTokens: input, outputTokens: 0 } }),
    ...(typeof model === 'string' && { model }),
  };
}

function fieldsIn(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Fields;
  } catch {} // Reported below.
  throw new ExchangeError('CONTENT_TYPE', 'its answer is not JSON');
}

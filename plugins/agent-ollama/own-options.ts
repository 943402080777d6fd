import type { ChatRequest as OllamaRequest } from 'ollama/browser';
import type { Config } from './config.js';

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

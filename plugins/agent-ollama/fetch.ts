import { type Exchange, ExchangeError, isOk } from '#sdk/upstream';

/**
 * The `fetch` of the `ollama` client for one request, which is not a chat: a `Response` with a stream would cost as much as
 * the whole answer, and the client's parser drops malformed lines.
 */
export function fetchOver(exchange: Exchange, headers: Readonly<Record<string, string>>): typeof fetch {
  /** @throws ExchangeError, ModelError, because the client would only keep the text of an error */
  return async (input, init = {}) => {
    const response = await exchange.send(new URL(String(input)), {
      headers: { ...headers, ...(init.headers as Record<string, string>) },
    });
    if (!isOk(response)) throw await exchange.refusal(response);
    const text = await exchange.text(response);
    // The client logs bodies it cannot parse.
    if (!isObject(text)) throw new ExchangeError('CONTENT_TYPE', 'its answer is not JSON');
    return new Response(text, { headers: { 'content-type': 'application/json' } });
  };
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false; // The caller reports it.
  }
}

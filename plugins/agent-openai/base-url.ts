import { parseUrl } from '#sdk';
import { canBeAsked, toClientHost, unquoted } from '#sdk/upstream';

/** Endpoints that people copy along with a base URL. */
const endpoint = /\/(chat\/completions|completions|models)$/;

/** The base URL of the API. Its query is sent with every request, as Azure requires for `api-version`. */
export function baseUrlOf(setting: string): URL {
  const url = toClientHost(new URL(unquoted(setting)));
  url.hash = '';
  url.pathname = url.pathname.replace(/\/+$/, '').replace(endpoint, '').replace(/\/+$/, '');
  return url;
}

export function isBaseUrl(setting: string): boolean {
  const url = parseUrl(unquoted(setting));
  return url !== undefined && canBeAsked(url);
}

/** The field with which the server at a URL limits an answer. */
export function limitFieldOf({ hostname }: URL): 'max_tokens' | 'max_completion_tokens' {
  const isOpenAi = hostname === 'api.openai.com' || /\.openai\.azure\.com$/.test(hostname);
  return isOpenAi ? 'max_completion_tokens' : 'max_tokens';
}

/** Values of the query that may be keys. */
export function secretsIn({ searchParams }: URL): readonly string[] {
  return [...searchParams].flatMap(([name, value]) => (/version/i.test(name) ? [] : value));
}

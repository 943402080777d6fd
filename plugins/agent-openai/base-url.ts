import { canBeAsked, toClientHost, unquoted } from '#sdk/upstream';

/** What people copy along from the examples of a server. */
const endpoint = /\/(chat\/completions|completions|models)$/;

/** The URL below which the API is. Its query goes along with every request, as Azure wants its `api-version`. */
export function baseUrlOf(setting: string): URL {
  const url = toClientHost(new URL(unquoted(setting)));
  url.hash = '';
  url.pathname = url.pathname.replace(/\/+$/, '').replace(endpoint, '').replace(/\/+$/, '');
  return url;
}

/** The URL of one endpoint: `chat/completions`. */
export function urlOf(base: URL, endpoint: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/$/, '')}/${endpoint}`;
  return url;
}

/** Whether it is one that can be asked. */
export function isBaseUrl(setting: string): boolean {
  const text = unquoted(setting);
  return URL.canParse(text) && canBeAsked(new URL(text));
}

/** By which field the server that is asked there limits an answer. */
export function limitFieldOf({ hostname }: URL): 'max_tokens' | 'max_completion_tokens' {
  const isOpenAi = hostname === 'api.openai.com' || /\.openai\.azure\.com$/.test(hostname);
  return isOpenAi ? 'max_completion_tokens' : 'max_tokens';
}

/** What of its query may be a key. */
export function secretsIn({ searchParams }: URL): readonly string[] {
  return [...searchParams].flatMap(([name, value]) => (/version/i.test(name) ? [] : value));
}

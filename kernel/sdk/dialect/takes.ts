import type { Agent, ChatOptions } from '../../contracts/agent.js';
import { WaggleError } from '../../errors.js';
import { isJsonObject } from '../json.js';
import { type Content, imageIn, isHere, isTextFile } from './content.js';

const mostIssues = 10;

/** Content that not every agent can pass on, and its place in the request. */
export type SpecialPart = { readonly place: string } & (
  | { readonly imageUrl: string }
  /** Of any kind besides text and images. */
  | { readonly kind: string }
);

/** Refuses content that `agent` cannot pass on. @throws INVALID_REQUEST */
export function checkParts(parts: readonly SpecialPart[], agent: Agent | undefined): void {
  const takes = agent?.takes ?? { imageUrls: false, parts: false };
  const issues = parts.flatMap((part) => {
    if ('kind' in part)
      return takes.parts
        ? []
        : `${part.place}: a part of the kind "${part.kind}" cannot be passed on to this model`;
    return isHere(part.imageUrl) || takes.imageUrls
      ? []
      : `${part.place}: no image is fetched here; send its data in base64`;
  });
  if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues: issues.slice(0, mostIssues) });
}

/** The same for messages of OpenAI's API; `field` has the list of them. @throws INVALID_REQUEST */
export function checkContent(
  field: string,
  messages: readonly { readonly content?: Content }[],
  agent: Agent | undefined,
): void {
  const parts = messages.flatMap(({ content }, place) =>
    typeof content === 'string' || !content
      ? []
      : content.flatMap((part, at): SpecialPart | readonly [] => {
          const path = `${field}.${place}.content.${at}`;
          const image = imageIn(part);
          if (image) return { place: `${path}.image_url.url`, imageUrl: image.url };
          const { type: kind } = part;
          const isSpecial = /^(file|input_file|input_audio|video_url|audio_url)$/.test(kind);
          return isSpecial && !isTextFile(part) ? { place: `${path}.type`, kind } : [];
        }),
  );
  checkParts(parts, agent);
}

/** Refuses a request for log probabilities, where the model server gives none. @throws INVALID_REQUEST */
export function checkLogprobs(field: string, { more }: ChatOptions, agent: Agent | undefined): void {
  if (!more?.logprobs) return;
  const ignored = agent?.ignores?.({ more: { logprobs: true } });
  if (ignored && !ignored.includes('logprobs')) return;
  throw new WaggleError('INVALID_REQUEST', { issues: [`${field}: the server of this model gives none`] });
}

// Used by the server itself.
const used = new Set(['user', 'metadata']);

/** The warning header for parts of a request that are ignored, if any. */
export function warningOf(
  options: ChatOptions,
  leftOut: readonly string[],
  agent: Agent | undefined,
): Readonly<Record<string, string>> {
  const { more = {} } = options;
  const ignored = [
    ...(agent?.ignores?.(options) ?? Object.keys(more).filter((name) => !used.has(name))),
    ...ofOthers(options, agent),
  ];
  const warnings = [
    ...(ignored.length > 0 ? [`not passed on: ${ignored.slice(0, 20).join(', ')}`] : []),
    ...(leftOut.length > 0 ? [`left out: ${leftOut.slice(0, 20).join(', ')}`] : []),
  ];
  if (warnings.length === 0) return {};
  return {
    'x-waggle-warning': warnings
      .join('; ')
      .replace(/[^ -~]/g, '?')
      .slice(0, 1000),
  };
}

/** Options for other kinds of model servers. An agent without a kind may ask any of them. */
function ofOthers({ providerOptions = {} }: ChatOptions, agent: Agent | undefined): readonly string[] {
  const { provider } = agent ?? {};
  if (provider === undefined) return [];
  return Object.entries(providerOptions).flatMap(([name, options]) =>
    name === provider ? [] : Object.entries(options).flatMap(namesIn),
  );
}

function namesIn([name, value]: readonly [string, unknown]): readonly string[] {
  return isJsonObject(value) ? Object.keys(value).map((each) => `${name}.${each}`) : [name];
}

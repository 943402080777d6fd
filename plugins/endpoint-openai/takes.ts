import { type Agent, type ChatOptions, WaggleError } from '#kernel';
import type { ChatBody } from './body.js';
import { imageIn, isHere } from './content.js';

const mostIssues = 10;

/** @throws INVALID_REQUEST for content that `agent` cannot pass on */
export function checkContent(messages: ChatBody['messages'], agent: Agent | undefined): void {
  const { imageUrls = false, parts = false } = agent?.takes ?? {};
  const issues = messages.flatMap(({ content }, place) => {
    if (!Array.isArray(content)) return [];
    return content.flatMap((part, at) => {
      const path = `messages.${place}.content.${at}`;
      const image = imageIn(part);
      if (image && !isHere(image.url) && !imageUrls)
        return `${path}.image_url.url: no image is fetched here; send it as a base64 data URL`;
      if (/^(file|input_file|input_audio|video_url|audio_url)$/.test(part.type) && !parts)
        return `${path}.type: a part of the kind "${part.type}" cannot be passed on to this model`;
      return [];
    });
  });
  if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues: issues.slice(0, mostIssues) });
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
  const ignored = agent?.ignores?.(options) ?? Object.keys(more).filter((name) => !used.has(name));
  const warnings = [
    ...(ignored.length > 0 ? [`not passed on: ${ignored.slice(0, 20).join(', ')}`] : []),
    ...(leftOut.length > 0 ? [`left out: ${leftOut.slice(0, 20).join(', ')}`] : []),
    ...(more.logprobs && !ignored.includes('logprobs') ? ['logprobs are not returned'] : []),
  ];
  if (warnings.length === 0) return {};
  return {
    'x-waggle-warning': warnings
      .join('; ')
      .replace(/[^ -~]/g, '?')
      .slice(0, 1000),
  };
}

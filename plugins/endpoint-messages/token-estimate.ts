import type { ChatMessage } from '#kernel';
import type { CountRequest } from './command.js';

/** Tokens that stand for a message besides its text. */
const messageTokens = 4;
/** An image of medium size. */
const imageTokens = 1000;
/** For each part of another kind, such as a document. */
const partTokens = 2000;

/** About as many tokens as a model reads; each model counts in its own way. */
export function estimatedTokens({ messages, options }: CountRequest): number {
  const { tools = [], format } = options;
  const extras = [...tools, ...(format ? [format] : [])].map((each) => tokensIn(JSON.stringify(each)));
  return Math.ceil(sum(messages.map(tokensOf)) + sum(extras));
}

function tokensOf({ content, images = [], parts = [], thinking = '', toolCalls = [] }: ChatMessage): number {
  const others = parts.filter(({ type }) => type === 'other').length;
  const remote = parts.filter(({ type }) => type === 'image').length;
  const calls = toolCalls.map(({ name, arguments: args }) => tokensIn(name) + tokensIn(args));
  return (
    messageTokens +
    tokensIn(content) +
    tokensIn(thinking) +
    sum(calls) +
    Math.max(images.length, remote) * imageTokens +
    others * partTokens
  );
}

/** Four letters of Latin script are a token, two of most other alphabets, one of scripts with a sign for each syllable or word. */
function tokensIn(text: string): number {
  let tokens = text.length / 4;
  for (const [run] of text.matchAll(/[\u0080-\uffff]+/g))
    for (let at = 0; at < run.length; at++) tokens += run.charCodeAt(at) < 0x0800 ? 1 / 4 : 3 / 4;
  return tokens;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

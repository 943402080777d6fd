import type { ChatMessage, ChatRequest, EmbedRequest, Limits, Principal } from '#kernel';
import type { Config } from './config.js';
import { Expense } from './expense.js';

/** Bytes beyond its text: of the form of a message, of an image, and at the most of any other attachment. */
const messageBytes = 8;
const imageBytes = 4096;
const attachmentBytes = 32_768;

/** A request with a limit of its tokens, and the reservation of them. */
export interface Budgeted {
  readonly request: ChatRequest;
  readonly expense: Expense;
}

/** Reserves the tokens of replies and embeddings for users with a daily limit. */
export class TokenBudget {
  readonly #limits: Limits;
  readonly #config: Pick<Config, 'maxTokens' | 'systemPrompt'>;

  constructor(limits: Limits, config: Pick<Config, 'maxTokens' | 'systemPrompt'>) {
    this.#limits = limits;
    this.#config = config;
  }

  get #promptBytes(): number {
    const { systemPrompt } = this.#config;
    return systemPrompt === '' ? 0 : bytesOf(systemPrompt) + messageBytes;
  }

  isFor(principal: Principal): boolean {
    return this.#limits.of(principal)?.tokensPerDay !== undefined;
  }

  /** Reserves what a request may cost. No text has more tokens than bytes. @throws BUDGET_EXCEEDED */
  async reserve(principal: Principal, request: ChatRequest): Promise<Budgeted | undefined> {
    const { maxTokens = this.#config.maxTokens } = request.options ?? {};
    const inputBytes = this.#promptBytes + bytesIn(request);
    const reserved = inputBytes + maxTokens;
    const reservation = await this.#limits.tokens(principal, reserved);
    if (!reservation) return undefined;
    return {
      request: { ...request, options: { ...request.options, maxTokens } },
      expense: new Expense(reservation, reserved, inputBytes),
    };
  }

  /** Reserves what embeddings may cost. @throws BUDGET_EXCEEDED */
  async reserveEmbeddings(principal: Principal, { input }: EmbedRequest): Promise<Expense | undefined> {
    let bytes = 0;
    for (const text of input) bytes += messageBytes + bytesOf(text);
    const reservation = await this.#limits.tokens(principal, bytes);
    return reservation && new Expense(reservation, bytes, bytes);
  }
}

function bytesIn({ messages, options }: ChatRequest): number {
  let bytes = 0;
  for (const message of messages) bytes += bytesOfMessage(message);
  if (!options) return bytes;
  const { tools, format, formatDetails, more } = options;
  for (const each of [tools, format, formatDetails, more]) if (each) bytes += bytesOf(JSON.stringify(each));
  return bytes;
}

function bytesOfMessage({
  role: _,
  content,
  images = [],
  parts = [],
  end: __,
  ...more
}: ChatMessage): number {
  let bytes = messageBytes + bytesOf(content) + images.length * imageBytes;
  // Tool calls and thinking, among others.
  if (Object.keys(more).length > 0) bytes += bytesOf(JSON.stringify(more));
  // The text of the other parts is in `content`.
  for (const part of parts)
    if (part.type === 'image') bytes += imageBytes;
    else if (part.type === 'other') bytes += Math.min(attachmentBytes, bytesOf(JSON.stringify(part.value)));
  return bytes;
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

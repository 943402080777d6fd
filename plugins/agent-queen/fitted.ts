import type { ChatMessage, ChatRequest, ContextReport, ContextWindow } from '#kernel';
import { runningFrom, startsIn } from './context.js';
import { showsImage } from './failures.js';
import type { Mutable } from './mutable.js';
import { TokenRate } from './token-rate.js';
import { addOptionUnits, addUnits, noUnits, type TokenUnits } from './token-units.js';

/** Room for an answer whose length is not limited. */
const answerTokens = { least: 1024, most: 8192 } as const;

/** How long a stated window counts: a server may be started again with another one. */
const statedTtlMs = 600_000;
/** A smaller one is no window, but another number in a text. */
const leastWindow = 128;

/** One model of an agent, as far as it is known. */
export class ModelFacts {
  readonly rate = new TokenRate();
  #stated: { readonly told: number | undefined; readonly tokens: number; readonly at: number } | undefined;
  /** Whether it does not see, as its server has told: then it gets no pictures of earlier turns. */
  isSightless = false;

  /** Whether its server has refused a prompt for its length of late. */
  get isRefusing(): boolean {
    return this.#stated !== undefined && performance.now() - this.#stated.at < statedTtlMs;
  }

  /** Notes the window that its server has stated in a refusal; `told` is the one that was known. */
  states(tokens: number, told: number | undefined): void {
    if (tokens >= leastWindow) this.#stated = { told, tokens, at: performance.now() };
  }

  /** The window in use: what the server has stated of late precedes what its list tells. */
  windowFrom(told: ContextWindow | undefined): ContextWindow | undefined {
    const stated = this.#stated;
    if (!stated || !this.isRefusing || stated.told !== told?.tokens) return told;
    return { ...told, tokens: stated.tokens, isLeast: false };
  }
}

/** A conversation with one model, as far as it is known. */
export interface Known {
  readonly facts: ModelFacts;
  /** Its tokens, as a multiple of what they are on average. */
  readonly ratio: number;
  /** The number of turns that were kept before the running one when others were left out, and the reply of that time. */
  readonly kept?: { readonly turns: number; readonly reply: string } | undefined;
}

/** A request that fits into the context window of its model, as far as that is known, and its size. */
export class Fitted implements TokenUnits {
  bytes = 0;
  messages = 0;
  images = 0;
  request: ChatRequest;
  readonly facts: ModelFacts;
  /** The first message of the running turn, which is never left out; undefined where no conversation is stored. */
  readonly running: ChatMessage | undefined;
  /** The key of a conversation that has gone on for a while. */
  readonly conversation: string | undefined;
  readonly known: Known | undefined;
  window: ContextWindow | undefined = undefined;
  /** The window as its agent tells it, in tokens. */
  told: number | undefined = undefined;
  /** For the reader; undefined where nothing is known. */
  report: ContextReport | undefined = undefined;
  /** Whether its model server is to refuse a request that is too long, so that it is fitted again. */
  isChecked = false;
  refusals = 0;
  /** The turns that were left out. */
  leftOut: readonly ChatMessage[] | undefined = undefined;
  /** The most tokens that the next try may have; infinite for a request that was not refused as too long. */
  limit = Number.POSITIVE_INFINITY;

  constructor(
    request: ChatRequest,
    facts: ModelFacts,
    running: ChatMessage | undefined,
    conversation: string | undefined,
    known: Known | undefined,
  ) {
    this.request = request;
    this.facts = facts;
    this.running = running;
    this.conversation = conversation;
    this.known = known;
    this.measure();
  }

  /** Counts the units of its request. */
  measure(): void {
    this.bytes = this.messages = this.images = 0;
    const { messages, options } = this.request;
    if (options) addOptionUnits(this, options);
    for (const message of messages) addUnits(this, message);
  }

  /** Tokens by estimate. */
  get estimate(): number {
    return this.facts.rate.estimate(this) * this.ratio;
  }

  get ratio(): number {
    return this.known?.ratio ?? 1;
  }

  /** By how much more than estimated it may have, as a share. */
  get margin(): number {
    const { margin } = this.facts.rate;
    // The conversation itself has told.
    return this.known ? margin / 2 + 0.02 : margin;
  }

  /** Tokens that it needs, the room for its answer included. */
  get needed(): number {
    return Math.ceil(this.estimate * (1 + this.margin) + Math.min(answerTokens.most, this.#reserve));
  }

  /** Tokens that it may have by estimate in a window. */
  roomIn(window: number): number {
    const share = window / (this.request.options?.maxTokens === undefined ? 4 : 2);
    return (window - Math.min(this.#reserve, share)) / (1 + this.margin);
  }

  /** Whether there are turns to leave out. */
  get canDrop(): boolean {
    return startsIn(this.request.messages, this.running).length > 0;
  }

  /** Whether its client wants nothing left out. */
  get isStrict(): boolean {
    return this.request.options?.truncate === false && !this.isChecked;
  }

  /** Tokens of the running turn alone. */
  get runningTokens(): number {
    const { messages } = this.request;
    const units = noUnits();
    for (let at = runningFrom(messages, this.running); at < messages.length; at++)
      addUnits(units, messages[at] as ChatMessage);
    return this.facts.rate.partOf(units);
  }

  /** Whether only turns before the running one show pictures. */
  get hasOldImages(): boolean {
    if (!this.running || this.images === 0) return false;
    const { messages } = this.request;
    return !messages.slice(messages.indexOf(this.running)).some(showsImage);
  }

  /** Notes what the reader is told of it. */
  reports(droppedMessages: number): void {
    const report: Mutable<ContextReport> = { tokens: Math.round(this.estimate), droppedMessages };
    if (this.window) report.window = this.window.tokens;
    this.report = report;
  }

  get #reserve(): number {
    const { maxTokens } = this.request.options ?? {};
    const { least, most } = answerTokens;
    return maxTokens ?? Math.max(least, Math.min(most, this.facts.rate.longestAnswer * 1.25));
  }
}

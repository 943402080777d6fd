import {
  type Agent,
  type CallContext,
  type ChatMessage,
  type ChatRequest,
  type ContextWindow,
  WaggleError,
} from '#kernel';
import type { Done } from './batch.js';
import type { Config } from './config.js';
import { latestFrom, startsIn, withoutFirst } from './context.js';
import { lacksSight, showsImage } from './failures.js';
import { Fitted, type Known, ModelFacts } from './fitted.js';
import { RecentMap } from './recent-map.js';
import { keyOf } from './request-key.js';
import type { Summaries, Summary } from './summaries.js';
import { addUnits, noUnits } from './token-units.js';

/** Models of an agent and conversations of which something is remembered. */
const modelLimit = 1000;
const conversationLimit = 1000;
/** Requests of so few tokens fit into any window. */
const smallTokens = 512;
/** The part of the room that is used after turns were left out: the next ones fit, too, and the model server's cache stays valid. */
const usedAfterDrop = 0.8;
/** The most of the room that a summary of earlier turns takes. */
const summaryShare = 0.25;
/** How often a request is fitted again after its model server has refused it as too long. */
const refusalLimit = 3;
/** A count below this part of its estimate is of a cut or cached prompt. */
const tooFew = 0.6;

/** Fits requests into the context windows of models, and learns how long their tokens are. */
export class Contexts {
  readonly #config: Pick<Config, 'contextMessages' | 'summarise'>;
  /** By the name of the requested model. */
  readonly #models = new WeakMap<Agent, RecentMap<ModelFacts>>();
  readonly #conversations = new RecentMap<Known>(conversationLimit);
  /** Undefined without a plugin that runs tasks. */
  summaries: Summaries | undefined;

  /** `contextMessages`: the number of messages for agents whose window is unknown. The config may change. */
  constructor(config: Pick<Config, 'contextMessages' | 'summarise'>) {
    this.#config = config;
  }

  /**
   * The request without the oldest turns of its conversation, if they are too many. Undefined where an agent passes it on, or
   * has no window and gets all of it. A promise only where the window is asked for first. `question`: the first message of the
   * running turn in a stored conversation, which is never left out. `refused`: the request before, which its model server has
   * refused. @throws CONTEXT_TOO_LONG where `truncate` is false
   */
  fit(
    agent: Agent,
    request: ChatRequest,
    call: CallContext,
    question: ChatMessage | undefined,
    refused?: Fitted,
  ): Fitted | undefined | Promise<Fitted | undefined> {
    const { messages } = request;
    const isShort = messages.length <= 2;
    if (!agent.contextWindow && (isShort || this.#isWhole(messages))) return undefined;
    const facts = this.#factsOf(agent, request.model ?? '');
    // An agent may be asked something else within the conversation.
    const running = question && messages.includes(question) ? question : undefined;
    const isBlind = facts.isSightless || agent.capabilities?.includes('images') === false;
    const seen = running && isBlind && !isShort ? withoutOldImages(request, running) : request;
    const conversation = running && !isShort ? keyOf(request) : undefined;
    const known = conversation === undefined ? undefined : this.#conversations.get(conversation);
    const fitted = new Fitted(seen, facts, running, conversation, known?.facts === facts ? known : undefined);
    const window = agent.contextWindow?.(seen, fitted.needed, call);
    // One that was refused for its pictures has the same length.
    const before = refused && refused.limit < Number.POSITIVE_INFINITY ? refused : undefined;
    return window instanceof Promise
      ? this.#fitLater(agent, fitted, window, before)
      : this.#fitted(agent, fitted, window, before);
  }

  /** Whether to fit the request again, after its model server has refused it for its length or for old pictures. */
  isForAnother(fitted: Fitted, failure: unknown): boolean {
    const { facts } = fitted;
    if (lacksSight(failure) && !facts.isSightless && fitted.hasOldImages) {
      facts.isSightless = true;
      return true;
    }
    if (!WaggleError.is(failure, 'CONTEXT_TOO_LONG') || fitted.refusals >= refusalLimit) return false;
    const { tokens, window } = failure.details;
    const { estimate } = fitted;
    if (tokens !== undefined) this.#learn(fitted, tokens);
    if (window !== undefined) facts.states(window, fitted.told);
    if (fitted.isStrict) return false;
    fitted.limit = estimate * (tokens === undefined ? 0.7 : 0.95);
    return fitted.isChecked || fitted.canDrop;
  }

  /** Learns from the count of an answer. True where the model has read less than it was sent. */
  learn(fitted: Fitted, { usage }: Done): boolean {
    const { facts, window } = fitted;
    const { rate } = facts;
    const isCut = fitted.refusals > 0 && !fitted.isChecked && !fitted.canDrop;
    // A third party's agent may tell anything.
    const read = Math.max(Number(usage?.inputTokens), Number(usage?.cachedTokens ?? 0));
    if (!usage || !(read > 0) || !Number.isFinite(read)) return isCut;
    const written = Number(usage.outputTokens);
    if (written > 0 && Number.isFinite(written)) rate.answered(written);
    // The model has forgotten the beginning while it answered.
    const isOutgrown = window?.slides && !window.isLeast && read + written > window.tokens;
    if (isCut || isOutgrown) return true;
    // A server that has refused one such request takes no other.
    const isSure = fitted.isChecked && facts.isRefusing;
    if (!isSure && isLess(fitted, read)) return true;
    // A prompt that the server had in its cache, and counts in part.
    if (rate.samples >= 3 && read < fitted.estimate * tooFew) return false;
    this.#learn(fitted, read);
    return false;
  }

  /** Whether an agent without a window gets all of these messages, as they are. */
  #isWhole(messages: readonly ChatMessage[]): boolean {
    return messages.length <= this.#config.contextMessages && !messages.some(showsImage);
  }

  #factsOf(agent: Agent, model: string): ModelFacts {
    let models = this.#models.get(agent);
    if (!models) {
      models = new RecentMap(modelLimit);
      this.#models.set(agent, models);
    }
    let facts = models.get(model);
    if (!facts) {
      facts = new ModelFacts();
      models.set(model, facts);
    }
    return facts;
  }

  async #fitLater(
    agent: Agent,
    fitted: Fitted,
    window: Promise<ContextWindow | undefined>,
    refused: Fitted | undefined,
  ): Promise<Fitted | undefined> {
    return this.#fitted(agent, fitted, await window, refused);
  }

  #fitted(
    agent: Agent,
    fitted: Fitted,
    told: ContextWindow | undefined,
    refused: Fitted | undefined,
  ): Fitted | undefined {
    if (told?.tokens === Number.POSITIVE_INFINITY) return undefined;
    const { isStrict, estimate } = fitted;
    fitted.told = told?.tokens;
    fitted.window = fitted.facts.windowFrom(told);
    if (refused) fitted.refusals = refused.refusals + 1;
    // Near the edge its model server knows better.
    if (isStrict && told && !told.isLeast && estimate * (1 - fitted.margin / 2) > told.tokens)
      throw tooLong(agent, estimate, told.tokens);
    const before = fitted.request.messages.length;
    if (!isStrict) this.#leaveOut(fitted, refused);
    const dropped = fitted.leftOut?.length ?? before - fitted.request.messages.length;
    if (agent.contextWindow) fitted.reports(dropped);
    else if (dropped > 0) fitted.report = { droppedMessages: dropped };
    // Refused although there was nothing more to leave out: now its model server may cut it.
    const mayCut = refused !== undefined && !refused.canDrop;
    if (agent.contextWindow && !isStrict && !mayCut && mayOverflow(fitted)) {
      const { request } = fitted;
      fitted.isChecked = true;
      fitted.request = { ...request, options: { ...request.options, truncate: false } };
    }
    return fitted;
  }

  /** Leaves out the oldest turns, where they are too many. */
  #leaveOut(fitted: Fitted, refused: Fitted | undefined): void {
    const { request, running, window, estimate } = fitted;
    const { messages } = request;
    const isKnown = window !== undefined;
    const least = isKnown || !running ? 0 : latestFrom({ messages, running }, this.#config.contextMessages);
    const room = window ? fitted.roomIn(window.tokens) : Number.POSITIVE_INFINITY;
    const summary = running && this.#summaryFor(fitted, room);
    const limits: Limits = {
      tokens: Math.min(room, refused?.limit ?? Number.POSITIVE_INFINITY) - (summary?.tokens ?? 0),
      messages: mostAfter(refused),
      least,
    };
    const isAll = estimate <= limits.tokens + (summary?.tokens ?? 0) && messages.length <= limits.messages;
    const from = isAll ? least : this.#firstOf(fitted, limits);
    if (from === 0) return;
    const left = withoutFirst(messages, from);
    if (running && this.summaries) fitted.leftOut = messages.slice(0, from).filter(isSaid);
    const stands = summary && fitted.leftOut && summary.standsFor(fitted.leftOut);
    fitted.request = { ...request, messages: stands ? withOrder(left, summary.text) : left };
    fitted.measure();
  }

  /** The summary of earlier turns, if there is one that leaves room for others. */
  #summaryFor(fitted: Fitted, room: number): (Summary & { readonly tokens: number }) | undefined {
    const summary = this.#config.summarise ? this.summaries?.find(fitted.request) : undefined;
    if (!summary) return undefined;
    const units = noUnits();
    addUnits(units, { role: 'system', content: summary.text });
    const tokens = fitted.facts.rate.partOf(units) * fitted.ratio;
    return tokens < room * summaryShare ? { ...summary, tokens } : undefined;
  }

  /** The index of the first message to send. */
  #firstOf(fitted: Fitted, limits: Limits): number {
    const { request, running, known, conversation, facts, window, estimate, ratio } = fitted;
    const { messages } = request;
    const starts = startsIn(messages, running);
    const last = starts.length - 1;
    if (last < 0) return 0;
    // By start: tokens and messages before it.
    const before: { readonly tokens: number; readonly messages: number }[] = [];
    const gone = noUnits();
    let at = 0;
    for (const start of starts) {
      for (; at < start; at++) {
        const message = messages[at] as ChatMessage;
        if (message.role !== 'system') addUnits(gone, message);
      }
      before.push({ tokens: facts.rate.partOf(gone) * ratio, messages: gone.messages });
    }
    const fits = (index: number, tokens: number) => {
      const less = before[index] as (typeof before)[number];
      const isFew = messages.length - less.messages <= limits.messages;
      return isFew && estimate - less.tokens <= tokens && (starts[index] as number) >= limits.least;
    };
    // The same turns as before, with the one that was running then.
    const { kept } = known ?? {};
    const same = kept ? last - kept.turns - (kept.reply === request.id ? 0 : 1) : -1;
    let index = same;
    if (!(same >= 0 && fits(same, limits.tokens))) {
      index = 0;
      while (index < last && !fits(index, limits.tokens * usedAfterDrop)) index++;
    }
    if (conversation !== undefined && window) {
      const turns = { turns: last - index, reply: request.id };
      this.#conversations.set(conversation, { facts, ratio, kept: turns });
    }
    return starts[index] as number;
  }

  #learn(fitted: Fitted, tokens: number): void {
    const { facts, conversation } = fitted;
    facts.rate.learn(fitted, tokens);
    if (conversation === undefined) return;
    const known = this.#conversations.get(conversation);
    const ratio = Math.max(0.4, Math.min(2.5, tokens / facts.rate.estimate(fitted)));
    const kept = known?.facts === facts ? known.kept : undefined;
    this.#conversations.set(conversation, { facts, ratio, kept });
  }
}

/** The most that may be sent. */
interface Limits {
  readonly tokens: number;
  readonly messages: number;
  /** The index of the first message that may be sent. */
  readonly least: number;
}

/** Whether a request may be longer than its window, for all that is known. */
function mayOverflow({ estimate, window }: Fitted): boolean {
  return estimate * 2 > (window?.tokens ?? smallTokens);
}

/** Whether the model has read less than it was sent, by its own count. */
function isLess(fitted: Fitted, read: number): boolean {
  const { estimate, window } = fitted;
  const { rate } = fitted.facts;
  // The texts of a new model may have more tokens than any estimate.
  const isNew = rate.samples < 3;
  const margin = isNew ? 1 : Math.max(0.1, rate.margin);
  const isFew = read < (isNew ? estimate : estimate * (1 - margin));
  // Without a window: not so few that only the running turn was counted, after all else was in the server's cache.
  if (!window)
    return !isNew && read < estimate * tooFew && read > Math.max(smallTokens, fitted.runningTokens * 1.3);
  const { tokens, isLeast } = window;
  const mayBeMore = estimate * (1 + margin) > tokens;
  if (isFew) return mayBeMore;
  if (isLeast) return false;
  // Up to the edge, and more than was thought, or as much as may have been too much: nothing says that this was all.
  const edge = isNew ? 0.8 : 0.95;
  return (read > tokens * edge && mayBeMore) || (read > tokens * 0.9 && read > estimate * (1 + margin));
}

/** A request without the pictures of the turns before the running one. */
function withoutOldImages(request: ChatRequest, running: ChatMessage): ChatRequest {
  const end = request.messages.indexOf(running);
  if (!request.messages.some(({ images }, at) => at < end && images)) return request;
  const messages = request.messages.map((message, at) => {
    const { images, ...rest } = message;
    return at < end && images ? rest : message;
  });
  return { ...request, messages };
}

function isSaid({ role }: ChatMessage): boolean {
  return role !== 'system';
}

/** Messages with one more order of the system: many models take one system message only. */
function withOrder(messages: readonly ChatMessage[], content: string): readonly ChatMessage[] {
  const [first, ...rest] = messages;
  return first?.role === 'system'
    ? [{ ...first, content: `${first.content}\n\n${content}` }, ...rest]
    : [{ role: 'system', content }, ...messages];
}

/** The most messages after a refusal: fewer, as long as there are turns to leave out. */
function mostAfter(refused: Fitted | undefined): number {
  if (!refused) return Number.POSITIVE_INFINITY;
  const { length } = refused.request.messages;
  return refused.canDrop ? length - 1 : length;
}

function tooLong({ name: agent }: Agent, estimate: number, window: number): WaggleError {
  const tokens = Math.round(estimate);
  const why = `it has about ${tokens} tokens, and the context window ${window}`;
  return new WaggleError('CONTEXT_TOO_LONG', { agent, why, tokens, window });
}

import {
  type ChatStreams,
  type ConversationStore,
  type EventBus,
  type HttpRequest,
  type Logger,
  type Principal,
  type Reply,
  type Undo,
  WaggleError,
} from '#kernel';
import { Answers, type Models } from '#sdk/dialect';
import type { ResponseBody } from './body.js';
import type { Config } from './config.js';
import { type Item, kindOf } from './items.js';
import { currentResponse, type LiveResponse } from './live-response.js';
import { type Asker, requestOf } from './request.js';
import type { ResponseHead } from './response-object.js';
import { type StoredResponse, StoredResponses } from './stored-responses.js';

/** Services that responses are made of. */
export interface ResponseServices {
  readonly streams: ChatStreams;
  readonly models: Models;
  readonly store: ConversationStore;
  readonly bus: EventBus;
  readonly logger: Logger;
  readonly config: Config;
}

/** Responses that a connection remembers: their items up to their answer. */
export interface Remembered {
  get(id: string): readonly Item[] | undefined;
}

/** The fields of a response by which a conversation is put together. */
interface Links {
  readonly output: readonly object[];
  readonly previous_response_id: string | null;
}

/** The owner of responses in an open server, where the id alone gives access. */
const anyone = '';

/** Starts responses, and finds them: while their log can be read, and afterwards in the store. */
export class Responses {
  readonly answers: Answers;
  readonly #services: ResponseServices;
  readonly #stored: StoredResponses;
  readonly #live = new WeakMap<Reply, LiveResponse>();
  /** Responses that go into the store when they end, by stream. */
  readonly #unstored = new Map<string, LiveResponse>();
  readonly #storing = new Set<Promise<void>>();

  constructor(services: ResponseServices) {
    this.#services = services;
    this.#stored = new StoredResponses(services.store, services.config.maxStored);
    this.answers = new Answers(services.streams, services.models);
  }

  /** Stores responses that have ended. */
  watch(): readonly Undo[] {
    const { bus } = this.#services;
    const ended = ({ streamId }: { readonly streamId: string }) => this.#ended(streamId);
    return [bus.on('chat:finished', ended), bus.on('chat:failed', ended), bus.on('chat:cancelled', ended)];
  }

  /** Resolves once everything that has ended is stored. */
  async settled(): Promise<void> {
    await Promise.all(this.#storing);
  }

  /**
   * Starts a response. `before` has the items of the responses that it follows.
   * @throws INVALID_REQUEST, FORBIDDEN, AGENT_UNKNOWN, QUEUE_FULL, SHUTTING_DOWN
   */
  async start(
    body: ResponseBody,
    before: readonly Item[],
    input: readonly Item[],
    asker: Asker & { readonly onDisconnect?: 'continue'; readonly isWarmUp?: boolean },
    request?: HttpRequest,
  ): Promise<LiveResponse> {
    const { models } = this.#services;
    const items = [...before, ...input];
    const { custom, ...asked } = requestOf(body, items, models.agentOf(body.model), asker);
    const { isWarmUp = false, onDisconnect } = asker;
    const command = {
      ...asked.command,
      ...((onDisconnect ?? body.background) && { onDisconnect: 'continue' as const }),
      ...(isWarmUp && { options: { ...asked.command.options, maxTokens: 1 } }),
    };
    const run = await this.answers.start({ ...asked, command }, request);
    // An idempotency key joins a response that was started before.
    const earlier = this.#live.get(run.reply);
    if (earlier) return earlier;
    const id = `resp_${run.reply.streamId}`;
    const head: ResponseHead = {
      id,
      createdAt: run.createdAt,
      body,
      custom,
      isWarmUp,
      readers: 0,
      modelOf: run.modelOf,
    };
    const live: LiveResponse = {
      head,
      run,
      owner: this.#ownerOf(asker.principal, run.reply),
      input: input.map(({ item }, place) => identified(item, id, place)),
      items,
    };
    this.#live.set(run.reply, live);
    // One that another process runs is stored there.
    const isHere = run.reply.command !== undefined || run.reply.ended;
    if (body.store !== false && isHere) this.#unstored.set(run.reply.streamId, live);
    // A failure may have been faster.
    if (run.reply.ended) this.#ended(run.reply.streamId);
    if (body.background) hold(run.reply);
    return live;
  }

  /** A response whose log can be read, or was not read to its end before it was dropped. */
  async live(id: string, principal: Principal | undefined): Promise<LiveResponse | undefined> {
    if (!id.startsWith('resp_')) return undefined;
    const reply = await this.#services.streams.find(id.slice('resp_'.length), principal);
    const live = reply && this.#live.get(reply);
    return live?.isDeleted ? undefined : live;
  }

  /** @throws RESPONSE_UNKNOWN */
  async find(id: string, principal: Principal | undefined): Promise<StoredResponse> {
    const found = await this.#found(id, principal);
    if (!found) throw new WaggleError('RESPONSE_UNKNOWN', { responseId: id.slice(0, 200) });
    return found;
  }

  /** Cancels it, if it runs, and forgets it. @throws RESPONSE_UNKNOWN */
  async delete(id: string, principal: Principal | undefined): Promise<void> {
    const live = await this.live(id, principal);
    if (live) {
      live.isDeleted = true;
      this.#unstored.delete(live.run.reply.streamId);
      await live.run.reply.cancel('client');
      await this.settled();
    }
    const wasStored = await this.#stored.delete(live?.owner ?? principal?.id ?? anyone, id);
    if (!live && !wasStored) throw new WaggleError('RESPONSE_UNKNOWN', { responseId: id.slice(0, 200) });
  }

  /**
   * The items of a response and of those before it, its answer last. `remembered` are responses of a connection.
   * @throws RESPONSE_UNKNOWN
   */
  async chain(
    id: string,
    principal: Principal | undefined,
    remembered?: Remembered,
  ): Promise<readonly Item[]> {
    const parts: (readonly Item[])[] = [];
    let next: string | undefined = id;
    for (let links = 0; next !== undefined; links++) {
      const known = remembered?.get(next);
      if (known) {
        parts.unshift(known);
        break;
      }
      const found: StoredResponse | undefined =
        links < this.#services.config.maxChain ? await this.#found(next, principal) : undefined;
      if (!found)
        throw new WaggleError('RESPONSE_UNKNOWN', { responseId: next.slice(0, 200), isPrevious: true });
      const { output, previous_response_id: previous } = found.response as unknown as Links;
      parts.unshift([...found.input, ...output].map(readItem));
      next = previous ?? undefined;
    }
    return parts.flat();
  }

  /** Items with those that they refer to in place of references. @throws INVALID_REQUEST */
  async resolved(
    items: readonly Item[],
    before: readonly Item[],
    principal: Principal | undefined,
  ): Promise<readonly Item[]> {
    if (!items.some(({ kind }) => kind === 'reference')) return items;
    return Promise.all(
      items.map(async (each, place) => {
        if (each.kind !== 'reference') return each;
        const { id } = each.item;
        const found = [...before, ...items].find(({ kind, item }) => kind !== 'reference' && item.id === id);
        const referred = found ?? (await this.#itemOf(id, principal));
        if (referred) return referred;
        const issue = `input.${place}.id: there is no item ${JSON.stringify(id.slice(0, 200))}`;
        throw new WaggleError('INVALID_REQUEST', { issues: [issue] });
      }),
    );
  }

  async #itemOf(id: string, principal: Principal | undefined): Promise<Item | undefined> {
    const [, key] = /^[a-z]+_([\w-]+)_i?\d+$/.exec(id) ?? [];
    const found = key && (await this.#found(`resp_${key}`, principal));
    if (!found) return undefined;
    const all = [...found.input, ...(found.response.output as readonly object[])] as {
      readonly id?: string;
    }[];
    const item = all.find((each) => each.id === id);
    return item && readItem(item);
  }

  async #found(id: string, principal: Principal | undefined): Promise<StoredResponse | undefined> {
    const live = await this.live(id, principal);
    if (live && live.head.body.store !== false) return { response: currentResponse(live), input: live.input };
    return this.#stored.find(principal?.id ?? anyone, id);
  }

  #ownerOf(principal: Principal | undefined, reply: Reply): string {
    return principal ? reply.userId : anyone;
  }

  #ended(streamId: string): void {
    const live = this.#unstored.get(streamId);
    if (!live) return;
    this.#unstored.delete(streamId);
    const { head, owner, input } = live;
    const storing = this.#stored
      .keep(owner, head.id, { response: currentResponse(live), input })
      .catch((err: unknown) => {
        this.#services.logger.error({ err }, 'a response could not be stored');
      })
      .finally(() => this.#storing.delete(storing));
    this.#storing.add(storing);
  }
}

/** Keeps a response running that is read later. */
function hold(reply: Reply): void {
  const reader = reply.read();
  reader.onReadable({
    readable() {
      while (reader.take()?.length);
    },
  });
}

/** An item that this server wrote, or has read before. */
export function readItem(item: object): Item {
  return { kind: kindOf(item), item } as Item;
}

const prefixes: Readonly<Record<string, string>> = {
  function_call: 'fc',
  function_call_output: 'fco',
  custom_tool_call: 'ctc',
  custom_tool_call_output: 'ctco',
  reasoning: 'rs',
  compaction: 'cmp',
};

/** An input item with an id, as `…/input_items` lists it. */
function identified(item: Item['item'], response: string, place: number): object {
  const type = typeof item.type === 'string' ? item.type : 'message';
  const id = item.id ?? `${prefixes[type] ?? 'msg'}_${response.slice('resp_'.length)}_i${place}`;
  const content =
    type === 'message' && 'content' in item && typeof item.content === 'string'
      ? { content: [{ type: item.role === 'assistant' ? 'output_text' : 'input_text', text: item.content }] }
      : {};
  return { ...item, ...content, type, id };
}

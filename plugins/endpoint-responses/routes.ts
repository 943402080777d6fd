import { type ErrorFormat, type HttpRequest, type HttpResponse, WaggleError } from '#kernel';
import { eventStreamHeaders, expectValid, keepAlive } from '#sdk';
import {
  type AnswerPace,
  checkDepths,
  exposedHeaders,
  type Models,
  openAiError,
  readInto,
  readRunHeaders,
} from '#sdk/dialect';
import { compactBody } from './body.js';
import { compacted } from './compaction.js';
import type { Config } from './config.js';
import { ResponseEventTexts } from './event-texts.js';
import type { Item } from './items.js';
import { currentResponse, type LiveResponse } from './live-response.js';
import { itemsQuery, retrieveQuery } from './queries.js';
import { itemsOf, readBody, requestOf } from './request.js';
import { ResponseEvents } from './response-events.js';
import type { Responses } from './responses.js';

const summaryPrompt =
  'Summarize this conversation for yourself, so that you can go on with it without reading it again: what was asked, ' +
  'decided and found, names and numbers exactly, and what is left to do. Write the summary only.';

/** The routes below `/v1/responses`. */
export class ResponseRoutes {
  readonly #responses: Responses;
  readonly #models: Models;
  readonly #config: Config;

  constructor(responses: Responses, models: Models, config: Config) {
    this.#responses = responses;
    this.#models = models;
    this.#config = config;
  }

  /** Format of the errors below `/v1/responses`. */
  readonly format: ErrorFormat['format'] = (error, request) =>
    openAiError(error, this.#responses.answers.streamIdOf(request));

  /** `POST /v1/responses` */
  async create(request: HttpRequest, response: HttpResponse): Promise<void> {
    const body = await readBody(await request.json(Number.POSITIVE_INFINITY));
    const { principal } = request;
    const asker = { headers: await readRunHeaders(request), principal };
    const before = await this.#before(body.previous_response_id, principal);
    const input = await this.#responses.resolved(itemsOf(body), before, principal);
    const live = await this.#responses.start(body, before, input, asker, request);
    if (body.stream) return this.#stream(live, response, {});
    if (body.background) return this.#send(live, response, currentResponse(live));
    const events = new ResponseEvents(live.head);
    const failure = await readInto(events, live.run.reply, live.run.asked, request.signal);
    const { response: answer } = events;
    // A cancelled response is what it has become, and no error.
    if (failure && answer.status !== 'cancelled') throw failure;
    if (!request.signal.aborted) this.#send(live, response, answer);
  }

  /** `GET /v1/responses/{response_id}` */
  async retrieve(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { stream, starting_after: after } = await expectValid(
      retrieveQuery,
      Object.fromEntries(request.query),
    );
    const id = idIn(request);
    if (!stream) {
      const { response: found } = await this.#responses.find(id, request.principal);
      return response.json(200, found, exposedHeaders);
    }
    const live = await this.#responses.live(id, request.principal);
    if (live) return this.#stream(live, response, { after, tellsFailures: true });
    await this.#responses.find(id, request.principal);
    throw new WaggleError('STREAM_GONE', { streamId: id.slice(0, 200) });
  }

  /** `DELETE /v1/responses/{response_id}` */
  async delete(request: HttpRequest, response: HttpResponse): Promise<void> {
    const id = idIn(request);
    await this.#responses.delete(id, request.principal);
    response.json(200, { id, object: 'response', deleted: true }, exposedHeaders);
  }

  /** `POST /v1/responses/{response_id}/cancel`: responds when the connection to the model is closed. */
  async cancel(request: HttpRequest, response: HttpResponse): Promise<void> {
    const id = idIn(request);
    const live = await this.#responses.live(id, request.principal);
    await live?.run.reply.cancel('client');
    const found = live ? currentResponse(live) : (await this.#responses.find(id, request.principal)).response;
    response.json(200, found, exposedHeaders);
  }

  /** `GET /v1/responses/{response_id}/input_items` */
  async inputItems(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { after, limit, order } = await expectValid(itemsQuery, Object.fromEntries(request.query));
    const { input } = await this.#responses.find(idIn(request), request.principal);
    const all = (order === 'asc' ? input : input.toReversed()) as readonly { readonly id: string }[];
    const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
    const data = all.slice(from, from + limit);
    const page = {
      object: 'list',
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: from + limit < all.length,
    };
    response.json(200, page, exposedHeaders);
  }

  /** `POST /v1/responses/compact`: the conversation as a summary by its model, to go on with. */
  async compact(request: HttpRequest, response: HttpResponse): Promise<void> {
    const json = await request.json(Number.POSITIVE_INFINITY);
    checkDepths(json, { tools: {}, formats: [] });
    const body = await expectValid(compactBody, json);
    const { principal } = request;
    const asker = { headers: await readRunHeaders(request), principal };
    const before = await this.#before(body.previous_response_id, principal);
    const items = [...before, ...(await this.#responses.resolved(itemsOf(body), before, principal))];
    const prompt: Item = { kind: 'message', item: { role: 'user', content: summaryPrompt } };
    const asked = requestOf(
      { model: body.model, instructions: body.instructions, user: body.user, store: false },
      [...items, prompt],
      this.#models.agentOf(body.model),
      asker,
    );
    const { answers } = this.#responses;
    const run = await answers.start(asked, request);
    await answers.whole(run, request, response, exposedHeaders, (answer) => {
      const text = answer.items.map((item) => (item.type === 'text' ? item.content : '')).join('');
      const key = run.reply.streamId;
      const { inputTokens = 0, outputTokens = 0 } = answer.usage ?? {};
      return {
        id: `resp_${key}`,
        object: 'response.compaction',
        created_at: Math.floor(Date.now() / 1000),
        output: [{ id: `cmp_${key}_0`, type: 'compaction', encrypted_content: compacted(text) }],
        usage: {
          input_tokens: inputTokens,
          input_tokens_details: { cached_tokens: answer.usage?.cachedTokens ?? 0 },
          output_tokens: outputTokens,
          output_tokens_details: { reasoning_tokens: answer.usage?.reasoningTokens ?? 0 },
          total_tokens: inputTokens + outputTokens,
        },
      };
    });
  }

  async #before(
    id: string | null | undefined,
    principal: HttpRequest['principal'],
  ): Promise<readonly Item[]> {
    return id ? this.#responses.chain(id, principal) : [];
  }

  #stream(
    live: LiveResponse,
    response: HttpResponse,
    { after, ...pace }: { readonly after?: number | undefined } & Pick<AnswerPace, 'tellsFailures'>,
  ): Promise<void> {
    const events = new ResponseEventTexts(live.head, after);
    const headers = { ...eventStreamHeaders, ...exposedHeaders };
    return this.#responses.answers.stream(live.run, response, headers, events, {
      ...this.#config,
      ...pace,
      heartbeat: keepAlive,
      isNumbered: true,
    });
  }

  #send({ run }: LiveResponse, response: HttpResponse, body: object): void {
    response.json(200, body, { ...exposedHeaders, ...run.headers });
  }
}

function idIn(request: HttpRequest): string {
  return request.params.response_id as string;
}

import type { CancelReason, ClientErrorCode, Logprob, ToolCall, Usage, WaggleError } from '#kernel';
import { type AnswerEnd, type AnswerEvents, fullLogprobs, openAiErrorObject } from '#sdk/dialect';
import { CallItem, MessageItem, type OutputItem, ReasoningItem } from './output-items.js';
import { RecentEvents } from './recent-events.js';
import { type ResponseHead, type ResponseState, responseObject, summaryOf } from './response-object.js';

/** Takes events: their type and their JSON. */
export type EmitEvent = (type: string, json: string) => void;

type Fields = Readonly<Record<string, unknown>>;

/**
 * The events of one response, numbered from 0, and the response itself as far as it was read. The numbers follow from the log
 * alone, so that a client can go on after any of them.
 */
export class ResponseEvents implements AnswerEvents {
  readonly #head: ResponseHead;
  readonly #emit: EmitEvent | undefined;
  /** Events up to this number are not written. */
  readonly #after: number;
  readonly #key: string;
  readonly #isSummary: boolean;
  #number = 0;
  #model: string;
  #status: ResponseState['status'] = 'in_progress';
  #usage: Usage | undefined;
  #error: ResponseState['error'];
  #incomplete: ResponseState['incomplete'];
  #begun = false;
  readonly #items: OutputItem[] = [];
  readonly #done = new Set<OutputItem>();
  /** The item that content is added to. */
  #open: MessageItem | ReasoningItem | undefined;
  /** Those of the next text. */
  #logprobs: readonly Logprob[] | undefined;
  /** The JSON of its deltas, up to their text. */
  #before = '';
  readonly #calls = new Map<number, CallItem>();

  /** Without `emit` only the response is of interest. Events up to the number `after` are left out. */
  constructor(head: ResponseHead, emit?: EmitEvent, after = -1) {
    this.#head = head;
    this.#emit = emit;
    this.#after = after;
    this.#key = head.id.replace(/^resp_/, '');
    this.#isSummary = summaryOf(head.body) !== undefined;
    this.#model = head.modelOf('');
    if (emit && head.readers++ > 0) head.recent ??= new RecentEvents();
  }

  /** The number of the next event. */
  get number(): number {
    return this.#number;
  }

  /** Whether the end was read. */
  get isOver(): boolean {
    return this.#status !== 'in_progress';
  }

  /** The response as far as it was read. */
  get response(): Readonly<Record<string, unknown>> {
    const isOver = this.#status !== 'in_progress';
    return responseObject(this.#head, {
      status: this.#status,
      model: this.#model,
      output: this.#items.map((item) =>
        item.object(this.#done.has(item) ? 'completed' : isOver ? 'incomplete' : 'in_progress'),
      ),
      usage: this.#usage,
      error: this.#error,
      incomplete: this.#incomplete,
    });
  }

  /** With the model as requested: the events must not depend on the time at which the agent is known. */
  begin(): void {
    this.#begun = true;
    const { response } = this;
    this.#write('response.created', { response });
    this.#write('response.in_progress', { response });
  }

  text(content: string): void {
    if (this.#head.isWarmUp) return;
    const item = this.#open instanceof MessageItem ? this.#open : this.#openMessage();
    item.texts.push(content);
    const logprobs = this.#logprobs;
    this.#logprobs = undefined;
    if (logprobs) item.logprobs.push(...logprobs);
    const more = logprobs ? `,"logprobs":${JSON.stringify(logprobs)}` : ',"logprobs":[]';
    this.#delta('response.output_text.delta', content, more);
  }

  logprobs(logprobs: readonly Logprob[]): void {
    this.#logprobs = [...(this.#logprobs ?? []), ...fullLogprobs(logprobs)];
  }

  thinking(content: string): void {
    if (this.#head.isWarmUp) return;
    const item = this.#open instanceof ReasoningItem ? this.#open : this.#openReasoning();
    item.texts.push(content);
    this.#delta(`response.${this.#reasoning}.delta`, content, '');
  }

  call(index: number, call: ToolCall): void {
    if (this.#head.isWarmUp) return;
    this.#close();
    const isCustom = this.#head.custom.has(call.name);
    const item = new CallItem(this.#key, this.#items.length, call, isCustom);
    this.#calls.set(index, item);
    this.#add(item);
    this.callPart(index, call.arguments);
  }

  callPart(index: number, text: string): void {
    const item = this.#calls.get(index);
    if (!item) return;
    item.args += text;
    // The input of a custom tool is a part of its arguments, and complete with them.
    if (text !== '' && !item.isCustom)
      this.#write('response.function_call_arguments.delta', { ...placeOf(item), delta: text });
  }

  callEnd(index: number): void {
    const item = this.#calls.get(index);
    if (!item) return;
    this.#calls.delete(index);
    if (item.isCustom) {
      const { input } = item;
      this.#write('response.custom_tool_call_input.delta', { ...placeOf(item), delta: input });
      this.#write('response.custom_tool_call_input.done', { ...placeOf(item), input });
    } else {
      const { name, args } = item;
      this.#write('response.function_call_arguments.done', { ...placeOf(item), name, arguments: args });
    }
    this.#finish(item);
  }

  end({ reason, agent, usage }: AnswerEnd): void {
    this.#incomplete = this.#head.isWarmUp ? undefined : incompleteOf(reason);
    this.#close(this.#incomplete !== undefined);
    this.#model = this.#head.modelOf(agent);
    this.#usage = usage;
    this.#status = this.#incomplete ? 'incomplete' : 'completed';
    this.#terminal(`response.${this.#status}`);
  }

  fail(failure: WaggleError<ClientErrorCode>, cancelled?: CancelReason): void {
    if (!this.#begun) this.begin();
    this.#close(true);
    this.#status = cancelled === 'client' ? 'cancelled' : 'failed';
    if (this.#status === 'failed') this.#error = errorOf(failure);
    // The API has no event for a cancelled response.
    this.#terminal(this.#status === 'failed' ? 'response.failed' : 'response.incomplete');
  }

  #terminal(type: string): void {
    this.#head.completedAt ??= Math.floor(Date.now() / 1000);
    const { response } = this;
    this.#write(type, { response });
  }

  get #reasoning(): 'reasoning_summary_text' | 'reasoning_text' {
    return this.#isSummary ? 'reasoning_summary_text' : 'reasoning_text';
  }

  #openMessage(): MessageItem {
    this.#close();
    const item = new MessageItem(this.#key, this.#items.length);
    this.#add(item);
    this.#write('response.content_part.added', { ...placeOf(item), content_index: 0, part: item.part });
    return this.#opened(item, 'response.output_text.delta', 'content_index');
  }

  #openReasoning(): ReasoningItem {
    this.#close();
    const item = new ReasoningItem(this.#key, this.#items.length, this.#isSummary);
    this.#add(item);
    const { part } = item;
    if (this.#isSummary)
      this.#write('response.reasoning_summary_part.added', { ...placeOf(item), summary_index: 0, part });
    else this.#write('response.content_part.added', { ...placeOf(item), content_index: 0, part });
    const index = this.#isSummary ? 'summary_index' : 'content_index';
    return this.#opened(item, `response.${this.#reasoning}.delta`, index);
  }

  #opened<Item extends MessageItem | ReasoningItem>(item: Item, type: string, index: string): Item {
    this.#open = item;
    this.#before = `${JSON.stringify({ type, ...placeOf(item), [index]: 0 }).slice(0, -1)},"delta":`;
    return item;
  }

  /** Ends the item that content was added to. */
  #close(isCut = false): void {
    const item = this.#open;
    if (!item) return;
    this.#open = undefined;
    const { text, part } = item;
    if (item instanceof MessageItem) {
      const place = { ...placeOf(item), content_index: 0 };
      this.#write('response.output_text.done', { ...place, text, logprobs: item.logprobs });
      this.#write('response.content_part.done', { ...place, part });
    } else if (this.#isSummary) {
      const place = { ...placeOf(item), summary_index: 0 };
      this.#write('response.reasoning_summary_text.done', { ...place, text });
      this.#write('response.reasoning_summary_part.done', { ...place, part });
    } else {
      const place = { ...placeOf(item), content_index: 0 };
      this.#write('response.reasoning_text.done', { ...place, text });
      this.#write('response.content_part.done', { ...place, part });
    }
    this.#finish(item, isCut);
  }

  #add(item: OutputItem): void {
    this.#items.push(item);
    this.#write('response.output_item.added', { output_index: item.index, item: item.object('in_progress') });
  }

  #finish(item: OutputItem, isCut = false): void {
    if (!isCut) this.#done.add(item);
    const object = item.object(isCut ? 'incomplete' : 'completed');
    this.#write('response.output_item.done', { output_index: item.index, item: object });
  }

  /** One token: the most frequent event, so its JSON is put together by hand. */
  #delta(type: string, content: string, more: string): void {
    const number = this.#number++;
    if (!this.#emit || number <= this.#after) return;
    const { recent } = this.#head;
    let event = recent?.get(number);
    if (event === undefined) {
      event = `${this.#before}${JSON.stringify(content)}${more},"sequence_number":${number}}`;
      recent?.keep(number, event);
    }
    this.#emit(type, event);
  }

  #write(type: string, fields: Fields): void {
    const sequence_number = this.#number++;
    if (this.#emit && sequence_number > this.#after)
      this.#emit(type, JSON.stringify({ type, ...fields, sequence_number }));
  }
}

function placeOf({ id, index }: OutputItem): { readonly item_id: string; readonly output_index: number } {
  return { item_id: id, output_index: index };
}

function incompleteOf(reason: string): ResponseState['incomplete'] {
  if (reason === 'length') return 'max_output_tokens';
  return reason === 'refusal' || reason === 'content_filter' ? 'content_filter' : undefined;
}

function errorOf(failure: WaggleError<ClientErrorCode>): NonNullable<ResponseState['error']> {
  const { code, message } = openAiErrorObject(failure).error;
  return { code: code ?? 'server_error', message };
}

import type { StreamChunk } from '#kernel';
import { detached, isJsonObject, newCallId, rawParts } from '#sdk';
import { PieceError } from '#sdk/upstream';
import { JsonEnd } from './json-end.js';

type Fields = Readonly<Record<string, unknown>>;

/** Size of an empty call, for the limit. */
const callChars = 64;

/** A call as received so far. */
interface Call {
  /** The server's id, by which its pieces are recognised; '' while it is unknown. */
  given: string;
  index: number | undefined;
  /** The id for the client; '' until it is chosen. */
  id: string;
  name: string;
  arguments: string;
  readonly end: JsonEnd;
  extra: Fields | undefined;
  /** Number of characters of its arguments that were sent. */
  sentChars: number;
  /** Whether the complete call was sent. */
  isSent: boolean;
}

interface Piece {
  readonly index: number | undefined;
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  readonly extra: Fields | undefined;
}

/**
 * Assembles the tool calls of one answer. A piece belongs to the call with its id, else to the call at its index, else to the
 * previous call, because servers use ids and indexes inconsistently.
 */
export class ToolCalls {
  readonly #calls = new Set<Call>();
  readonly #byId = new Map<string, Call>();
  readonly #byIndex = new Map<number, Call>();
  /** Calls in the latest event. */
  readonly #fresh = new Set<Call>();
  /** Complete calls, which are sent once an event does not mention them. */
  readonly #whole = new Set<Call>();
  #latest: Call | undefined;
  readonly #limitChars: number;
  #roomChars: number;

  /** `limitChars` applies to all calls together. */
  constructor(limitChars: number) {
    this.#limitChars = limitChars;
    this.#roomChars = limitChars;
  }

  get any(): boolean {
    return this.#calls.size > 0;
  }

  /**
   * Reads the calls in the `delta` or `message` of a choice, by its place in the event `data`. Those of a message are complete.
   * @throws PieceError
   */
  read(
    source: 'delta' | 'message',
    fields: Fields,
    data: string,
    choice: number,
    chunks: StreamChunk[],
  ): void {
    if (!fields.tool_calls && !fields.function_call) return;
    const list = listIn(fields);
    this.#fresh.clear();
    let raw: readonly (string | undefined)[] | undefined;
    for (const [place, entry] of list.entries()) {
      if (!isJsonObject(entry)) continue;
      const called = isJsonObject(entry.function) ? entry.function : {};
      let { arguments: args } = called;
      if (typeof args === 'object' && args !== null) {
        raw ??= rawArguments(source, data, choice);
        args = raw[place] ?? JSON.stringify(args);
      }
      const piece = {
        index: indexOf(entry.index),
        id: textOf(entry.id),
        name: textOf(called.name),
        arguments: textOf(args),
        extra: extraOf(entry),
      };
      if (source === 'delta') this.#add(piece);
      else this.#replace(piece, place);
    }
    this.#send(chunks);
  }

  /** Completes all calls at the end of the answer. @throws PieceError */
  end(chunks: StreamChunk[]): void {
    for (const call of this.#calls) {
      if (call.isSent) continue;
      if (call.name === '') throw new PieceError('a tool call has no name');
      this.#finish(call, chunks);
    }
  }

  #add(piece: Piece): void {
    const found = this.#find(piece);
    const call = found ?? this.#begin(piece);
    this.#merge(call, piece);
    if (!piece.arguments || call.isSent) return;
    // Some servers repeat all arguments at the end.
    if (call.end.isWhole && piece.arguments === call.arguments) return;
    this.#charge(piece.arguments.length);
    call.arguments += piece.arguments;
    call.end.push(piece.arguments);
  }

  #replace(piece: Piece, place: number): void {
    const known = (piece.id && this.#byId.get(piece.id)) || [...this.#calls][piece.index ?? place];
    const isSame = known && (known.name === '' || known.name === piece.name);
    const call = isSame ? known : this.#begin(piece);
    this.#merge(call, piece);
    // Sent arguments cannot be revoked.
    if (call.isSent || !piece.arguments.startsWith(call.arguments.slice(0, call.sentChars))) return;
    const rest = piece.arguments.slice(call.arguments.length);
    if (!piece.arguments.startsWith(call.arguments) || rest === '') return;
    this.#charge(rest.length);
    call.arguments = piece.arguments;
    call.end.push(rest);
  }

  #find({ index, id, name, arguments: args }: Piece): Call | undefined {
    const byId = id ? this.#byId.get(id) : undefined;
    // Two indexes under one id are two calls.
    if (byId && (index === undefined || byId.index === undefined || byId.index === index)) return byId;
    const there = (index === undefined ? undefined : this.#byIndex.get(index)) ?? this.#unplaced(index);
    // Ids may be late, or differ for each piece; the name marks the beginning of a call.
    if (!there || name === '') return there;
    if (id !== '' && there.given !== '') return there.given === id ? there : undefined;
    const isOver = there.end.isWhole && (args.trim() !== '' || name !== there.name);
    return isOver || (index === undefined && this.#fresh.has(there)) ? undefined : there;
  }

  /** The previous call, where the piece or that call has no index. */
  #unplaced(index: number | undefined): Call | undefined {
    return index === undefined || this.#latest?.index === undefined ? this.#latest : undefined;
  }

  #begin({ index, id }: Piece): Call {
    const call: Call = {
      given: '',
      index,
      // An id that the server has used for two calls stays with the first.
      id: this.#byId.has(id) ? newCallId() : '',
      name: '',
      arguments: '',
      end: new JsonEnd(),
      extra: undefined,
      sentChars: 0,
      isSent: false,
    };
    this.#charge(callChars);
    this.#calls.add(call);
    if (index !== undefined) this.#byIndex.set(index, call);
    return call;
  }

  #merge(call: Call, { index, id, name, extra }: Piece): void {
    this.#fresh.add(call);
    this.#latest = call;
    if (index !== undefined && call.index === undefined) {
      call.index = index;
      this.#byIndex.set(index, call);
    }
    if (id !== '' && call.given !== id) {
      this.#charge(id.length);
      call.given ||= id;
      call.id ||= id;
      if (!this.#byId.has(id)) this.#byId.set(id, call);
    }
    if (call.arguments === '' || call.name === '') this.#name(call, name);
    if (!extra) return;
    this.#charge(JSON.stringify(extra).length);
    call.extra = { ...call.extra, ...extra };
  }

  /** A name arrives whole, in pieces, or again with each piece. */
  #name(call: Call, name: string): void {
    const whole = name.startsWith(call.name) ? name : call.name + name;
    if (name === '') return;
    this.#charge(whole.length - call.name.length);
    call.name = whole;
  }

  /** Sends new pieces, and complete calls that the latest event does not mention. */
  #send(chunks: StreamChunk[]): void {
    for (const call of this.#whole) if (!this.#fresh.has(call)) this.#finish(call, chunks);
    for (const call of this.#fresh) {
      if (call.isSent || call.name === '') continue;
      const { isWhole } = call.end;
      if (isWhole) this.#whole.add(call);
      else this.#whole.delete(call);
      if (call.arguments.length === call.sentChars || (isWhole && call.sentChars === 0)) continue;
      const { id, name, arguments: args, sentChars: from } = identified(call);
      chunks.push({ type: 'tool_call_piece', id, name, arguments: args.slice(from), from });
      call.sentChars = args.length;
    }
  }

  #finish(call: Call, chunks: StreamChunk[]): void {
    const { id, name, arguments: args, extra } = identified(call);
    call.isSent = true;
    this.#whole.delete(call);
    const text = args.trim() === '' ? '{}' : args;
    chunks.push({ type: 'tool_call', id, name, arguments: text, ...(extra && { extra }) });
  }

  #charge(chars: number): void {
    this.#roomChars -= chars;
    if (this.#roomChars < 0)
      throw new PieceError(`its tool calls are longer than ${this.#limitChars} characters`);
  }
}

/** The call with an id, which some servers omit. */
function identified(call: Call): Call {
  call.id ||= newCallId();
  return call;
}

/** The calls in a delta or message; `function_call` is the older format for a single one. */
function listIn({ tool_calls: calls, function_call: called }: Fields): readonly unknown[] {
  if (Array.isArray(calls)) return calls;
  if (isJsonObject(calls)) return [calls];
  return isJsonObject(called) ? [{ index: 0, function: called }] : [];
}

/** The source text of each call's arguments in the event, where they are not a string. */
function rawArguments(source: string, data: string, choice: number): readonly (string | undefined)[] {
  const part = (json: string | undefined, key: string) => (json ? rawParts(json).get(key) : undefined);
  const fields = part(part(part(data, 'choices'), String(choice)), source) ?? '';
  const calls = part(fields, 'tool_calls');
  const called = calls?.startsWith('[')
    ? [...rawParts(calls).values()].map((call) => part(call, 'function'))
    : [calls ? part(calls, 'function') : part(fields, 'function_call')];
  return called.map((each) => {
    const args = part(each, 'arguments');
    return args === undefined ? undefined : detached(args);
  });
}

/** Additional fields of a call, to be sent back unchanged. */
function extraOf({ index: _, id: __, type: ___, function: ____, ...rest }: Fields): Fields | undefined {
  const given = Object.entries(rest).filter(([, value]) => value !== null && value !== undefined);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

/** A place in a list; some write it as text. */
export function indexOf(index: unknown): number | undefined {
  const number = typeof index === 'string' && index !== '' ? Number(index) : index;
  return typeof number === 'number' && Number.isInteger(number) ? number : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

import { createReadStream } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import { serverAddress } from '../server-address.js';
import { exitCodes } from '../stop-signals.js';

interface ImportSettings {
  readonly user?: string;
}

/** Lines of whole conversations, for one request. */
interface Batch {
  readonly firstLine: number;
  readonly lines: string[];
  chars: number;
  conversations: number;
}

interface Result {
  readonly imported: readonly unknown[];
  readonly skipped: readonly {
    readonly conversation_id: string;
    readonly line: number;
    readonly why: string;
  }[];
}

/** Characters of a request, unless one conversation has more. */
const batchChars = 1_000_000;
const batchConversations = 200;
/** Limit of one conversation, which is in memory as a whole. */
const conversationLimitBytes = 100_000_000;
const requestTimeoutMs = 120_000;
const maxTries = 5;
const longestWaitMs = 30_000;

/** `waggle import`: sends an export to a running server, a few conversations at a time. */
export async function importFile(file: string, url: string, { user }: ImportSettings): Promise<void> {
  const counts = { imported: 0, skipped: 0 };
  try {
    const address = serverAddress(url, 'http');
    address.pathname = `${address.pathname.replace(/\/+$/, '')}/conversations/import`;
    if (user !== undefined) address.searchParams.set('user_id', user);
    const input = file === '-' ? process.stdin : createReadStream(file);
    for await (const batch of batchesOf(linesOf(input))) {
      const { imported, skipped } = await send(address, batch);
      counts.imported += imported.length;
      counts.skipped += skipped.length;
      for (const { conversation_id, line, why } of skipped)
        process.stderr.write(`waggle: line ${line}: ${JSON.stringify(conversation_id)} is skipped: ${why}\n`);
    }
  } catch (error) {
    process.stderr.write(`waggle: cannot import ${JSON.stringify(file)}: ${reasonOf(error)}\n`);
    process.exitCode = exitCodes.failed;
  }
  process.stdout.write(`waggle: conversations: ${counts.imported} imported, ${counts.skipped} skipped\n`);
}

/** The lines between line feeds; other ends of lines may occur within JSON. @throws for one that is not UTF-8 */
async function* linesOf(input: AsyncIterable<Buffer>): AsyncIterable<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 1;
  let parts: Buffer[] = [];
  let bytes = 0;
  const line = () => {
    try {
      return decoder.decode(Buffer.concat(parts));
    } catch {
      throw new Error(`line ${number} is not UTF-8`);
    }
  };
  const add = (part: Buffer) => {
    bytes += part.length;
    if (bytes > conversationLimitBytes)
      throw new Error(`line ${number} has more than ${conversationLimitBytes} bytes; is it an export?`);
    parts.push(part);
  };
  for await (const part of input) {
    let start = 0;
    for (let end = part.indexOf('\n'); end >= 0; end = part.indexOf('\n', start)) {
      add(part.subarray(start, end));
      yield line();
      number++;
      parts = [];
      bytes = 0;
      start = end + 1;
    }
    add(part.subarray(start));
  }
  if (bytes > 0) yield line();
}

/** Neighbouring lines of one id are one conversation, which is never divided. @throws for a line that is none of an export */
async function* batchesOf(lines: AsyncIterable<string>): AsyncIterable<Batch> {
  let batch: Batch = { firstLine: 1, lines: [], chars: 0, conversations: 0 };
  let conversation: string | undefined;
  let conversationChars = 0;
  let number = 0;
  for await (const line of lines) {
    number++;
    const id = line.trim() === '' ? conversation : conversationOf(line, number);
    conversationChars = id === conversation ? conversationChars + line.length : line.length;
    if (conversationChars > conversationLimitBytes)
      throw new Error(`line ${number}: its conversation has more than ${conversationLimitBytes} characters`);
    const isFull = batch.chars > batchChars || batch.conversations === batchConversations;
    if (id !== conversation && isFull) {
      yield batch;
      batch = { firstLine: number, lines: [], chars: 0, conversations: 0 };
    }
    if (id !== conversation) batch.conversations++;
    conversation = id;
    batch.lines.push(line);
    batch.chars += line.length;
  }
  if (batch.chars > 0) yield batch;
}

function conversationOf(line: string, number: number): string {
  try {
    const { conversation_id: id } = JSON.parse(line);
    if (typeof id === 'string') return id;
  } catch (error) {
    throw new Error(`line ${number} is not JSON: ${messageOf(error)}`);
  }
  throw new Error(`line ${number} has no "conversation_id"; is it an export?`);
}

/** Tries again while the server has no room. @throws for any other answer */
async function send(address: URL, { firstLine, lines }: Batch): Promise<Result> {
  const url = new URL(address);
  url.searchParams.set('first_line', String(firstLine));
  // Not an option: other users of the machine could read it.
  const token = process.env.WAGGLE_TOKEN;
  const headers = { 'content-type': 'text/plain', ...(token && { authorization: `Bearer ${token}` }) };
  for (let attempt = 1; ; attempt++) {
    const signal = AbortSignal.timeout(requestTimeoutMs);
    const body = lines.join('\n');
    const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
    const text = await answer.text();
    if (answer.ok) return JSON.parse(text);
    const isFull = answer.status === 429 || answer.status === 503;
    if (!isFull || attempt === maxTries)
      throw new Error(messageIn(text) ?? `the server answers ${answer.status}`);
    const waitMs = Number(answer.headers.get('retry-after') ?? 1) * 1000;
    await setTimeout(Math.min(waitMs || 1000, longestWaitMs));
  }
}

function messageIn(text: string): string | undefined {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return undefined;
  }
}

/** `fetch` has the reason in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { readonly cause?: unknown };
  return messageOf(cause instanceof Error && cause.message !== '' ? cause : error);
}

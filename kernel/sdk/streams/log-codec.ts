import type { ApprovalRequired, Logprob, ToolCall, ToolCallPiece } from '../../contracts/agent.js';
import type { StreamFrame } from '../../contracts/stream.js';
import { type ClientErrorCode, WaggleError } from '../../errors.js';
import { CallEntry, ContentEntry, type Entry, FrameEntry, LogprobsEntry } from './log-entry.js';
import type { ReplyLog } from './reply-log.js';

/** A text of one kind, and the lengths of the pieces that it was written in where there are several. */
type ContentRun = [kind: 'x' | 'h', content: string, lengths?: number[]];

/** A part of a log for another process, as JSON. The ids of its stream and of its request are in none of them. */
export type Run =
  | ContentRun
  | ['f', frame: object]
  | ['c', call: ToolCall]
  | ['a', question: ApprovalRequired]
  | ['p', piece: ToolCallPiece]
  | ['l', logprobs: readonly Logprob[]]
  /** The error in the frame that follows, as programs see it. */
  | ['e', code: ClientErrorCode, details: unknown];

/** Entries as few runs: neighbours of one kind are one. */
export function runsOf(entries: readonly Entry[]): Run[] {
  const runs: Run[] = [];
  let parts: string[] = [];
  let lengths: number[] = [];
  let open: ContentRun | undefined;
  const close = () => {
    if (!open) return;
    open[1] = parts.join('');
    if (lengths.length > 1) open[2] = lengths;
    open = undefined;
  };
  for (const entry of entries) {
    if (!(entry instanceof ContentEntry)) {
      close();
      runs.push(runOf(entry));
      continue;
    }
    const kind = entry.type === 'streaming_token' ? 'x' : 'h';
    if (open?.[0] !== kind) {
      close();
      open = [kind, ''];
      [parts, lengths] = [[], []];
      runs.push(open);
    }
    parts.push(entry.content);
    if (entry.sizes) for (const size of entry.sizes) lengths.push(size + 1);
    else lengths.push(entry.content.length);
  }
  close();
  return runs;
}

function runOf(entry: Exclude<Entry, ContentEntry>): Run {
  if (entry instanceof FrameEntry) {
    const { frame } = entry;
    // Their places among the fields stay, and whether there are any.
    const hidden = {
      ...('streamId' in frame && { streamId: 0 }),
      ...('requestId' in frame && { requestId: 0 }),
    };
    return ['f', { ...frame, ...hidden }];
  }
  if (entry instanceof CallEntry) {
    const { id, name, arguments: args } = entry.toolCall;
    if (entry.type === 'streaming_tool_call') return ['c', entry.toolCall];
    const { expiresInMs } = entry.more as Pick<ApprovalRequired, 'expiresInMs'>;
    return ['a', { id, name, arguments: args, expiresInMs }];
  }
  return entry instanceof LogprobsEntry ? ['l', entry.logprobs] : ['p', entry.piece];
}

/** The copy of a log of another process, run by run. */
export class LogCopy {
  failure: WaggleError<ClientErrorCode> | undefined;
  readonly #log: ReplyLog;
  readonly #ids: { readonly streamId: string; readonly requestId?: string | undefined };
  /** Runs that are no content, places in the line left out: those of the original become fewer. */
  #others = 0;
  /** The agent of the `streaming_start` that is here. */
  #startedBy: string | undefined;

  constructor(log: ReplyLog, ids: { readonly streamId: string; readonly requestId?: string | undefined }) {
    this.#log = log;
    this.#ids = ids;
  }

  /** The reply is run again, by another process: no content had come, and what has come before it may come again. */
  restart(): void {
    this.#others = 0;
  }

  /** Adds what comes next. */
  add(runs: readonly Run[]): void {
    for (const run of runs) this.#add(run);
    this.#log.announce();
  }

  /** Adds the part of a whole log that is not here yet. */
  complete(whole: readonly Run[]): void {
    let position = 0;
    let others = 0;
    // What is added on the way is there already when it is counted.
    const [hadPosition, hadOthers] = [this.#log.position, this.#others];
    for (const run of whole)
      if (isContent(run)) {
        const missing = position + run[1].length - hadPosition;
        position += run[1].length;
        if (missing > 0) this.#add(lastOf(run, missing));
      } else if (isPlace(run)) {
        if (hadOthers === 0 && this.#others === 0) this.#add(run);
      } else if (++others > hadOthers) {
        this.#add(run);
        position += charsOf(run);
      } else position += charsOf(run);
    this.#log.announce();
  }

  #add(run: Run): void {
    const log = this.#log;
    if (isContent(run)) {
      const [kind, content, lengths = [content.length]] = run;
      let from = 0;
      for (const length of lengths) {
        log.write(kind === 'x' ? 'text' : 'thinking', content.slice(from, from + length));
        from += length;
      }
      return;
    }
    if (!isPlace(run)) this.#others++;
    if (run[0] === 'f') this.#addFrame(this.#frameOf(run[1]));
    else if (run[0] === 'c') log.addCall(run[1]);
    else if (run[0] === 'a') log.addApproval(run[1]);
    else if (run[0] === 'p') log.addPiece(run[1]);
    else if (run[0] === 'l') log.addLogprobs(run[1]);
    else this.failure = new WaggleError(run[1], run[2] as never);
  }

  #addFrame(frame: StreamFrame): void {
    if (frame.type === 'queue_update' && this.#startedBy !== undefined) return;
    if (frame.type === 'streaming_start') {
      if (frame.agent === this.#startedBy) return;
      this.#startedBy = frame.agent;
    }
    this.#log.add(frame);
  }

  #frameOf(frame: object): StreamFrame {
    const { streamId, requestId } = this.#ids;
    const shown = {
      ...('streamId' in frame && { streamId }),
      ...('requestId' in frame && { requestId }),
    };
    return { ...frame, ...shown } as StreamFrame;
  }
}

function isContent(run: Run): run is ContentRun {
  return run[0] === 'x' || run[0] === 'h';
}

function isPlace(run: Run): boolean {
  return run[0] === 'f' && (run[1] as StreamFrame).type === 'queue_update';
}

/** The characters that a frame adds to the position. */
function charsOf(run: Run): number {
  const frame = run[0] === 'f' ? (run[1] as StreamFrame) : undefined;
  return frame?.type === 'message' ? frame.content.length : 0;
}

/** The last characters of a run, in its pieces. */
function lastOf(run: ContentRun, count: number): ContentRun {
  const [kind, content, lengths = [content.length]] = run;
  if (count >= content.length) return run;
  const kept: number[] = [];
  for (let left = count, at = lengths.length - 1; left > 0; at--) {
    kept.unshift(Math.min(left, lengths[at] as number));
    left -= lengths[at] as number;
  }
  return [kind, content.slice(-count), kept];
}

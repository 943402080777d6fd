import type { LogEntry, StreamFrame } from '#kernel';

type ContentFrame = StreamFrame & { readonly content: string };

/** A frame at its place in a log. */
export class FrameEntry implements LogEntry {
  readonly frame: StreamFrame;
  readonly position: number;
  #json: string | undefined;

  constructor(frame: StreamFrame, position: number) {
    this.frame = frame;
    this.position = position;
  }

  get json(): string {
    this.#json ??= JSON.stringify(this.frame);
    return this.#json;
  }
}

/** Whether the frame moves the position on. */
export function hasContent(frame: StreamFrame): frame is ContentFrame {
  return 'content' in frame;
}

/** Whether the frame ends its reply. */
export function isTerminal({ type }: StreamFrame): boolean {
  return type === 'streaming_end' || type === 'message' || type === 'cancelled' || type === 'error';
}

/** The part of an entry that lies after `position`. */
export function after(entry: LogEntry, position: number): LogEntry {
  const { frame } = entry;
  if (!hasContent(frame)) return entry;
  const missing = entry.position - position;
  if (missing >= frame.content.length) return entry;
  const content = missing > 0 ? frame.content.slice(-missing) : '';
  return new FrameEntry({ ...frame, content } as StreamFrame, entry.position);
}

/** The same text in fewer frames: neighbours of one kind become one, up to `limitChars` each. */
export function merged(entries: readonly LogEntry[], limitChars: number): readonly LogEntry[] {
  const result: LogEntry[] = [];
  let parts: string[] = [];
  let chars = 0;
  for (const [index, entry] of entries.entries()) {
    const { frame } = entry;
    const joins = hasContent(frame) && !isTerminal(frame);
    if (joins) {
      parts.push(frame.content);
      chars += frame.content.length;
      if (entries[index + 1]?.frame.type === frame.type && chars < limitChars) continue;
    }
    const whole = { ...frame, content: parts.join('') } as StreamFrame;
    result.push(parts.length > 1 ? new FrameEntry(whole, entry.position) : entry);
    parts = [];
    chars = 0;
  }
  return result;
}

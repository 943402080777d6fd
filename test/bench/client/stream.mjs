import { contentBytes, textOf } from '../answers/corpus.mjs';
import { lineContentAt } from '../mock/line.mjs';
import { contentAt, idCharsOf, overheadBytes } from './frames.mjs';

/** Two characters, at the place where the kinds of a dialect differ, as a number. */
const kindOf = (text) => text.charCodeAt(0) * 256 + text.charCodeAt(1);
/** The kinds of events of the Responses API, of which the text, the first and the last are looked at. */
const events = { text: kindOf('ou'), created: kindOf('cr'), completed: kindOf('co') };
const textDelta = 'output_text.delta'.length;
const letterA = 'a'.charCodeAt(0);
const digits = { from: '0'.charCodeAt(0), to: '9'.charCodeAt(0) };
const startKind = 's'.charCodeAt(0) * 256 + 't'.charCodeAt(0);
const tokenKind = 't'.charCodeAt(0) * 256 + 'o'.charCodeAt(0);
const endKind = 'e'.charCodeAt(0) * 256 + 'n'.charCodeAt(0);
/** Tokens until all streams that began at once have settled; what comes before says how long a beginning takes. */
const settledTokens = 5;
const quote = '"'.charCodeAt(0);
const nowUs = () => Number(process.hrtime.bigint() / 1000n);

/** What one stream has to be, checked by counting: frames, bytes of content, one start and one end. */
export class CountedStream {
  frames = 0;
  contentBytes = 0;
  started = 0;
  ended = false;
  #dialect;
  #overhead;
  #from;
  #count;
  #onEnd;

  /** Of `count` tokens those from `from` on are awaited. */
  constructor(dialect, count, onEnd, from = 0) {
    this.#dialect = dialect;
    this.#overhead = overheadBytes(dialect);
    this.#count = count;
    this.#from = from;
    this.#onEnd = onEnd;
  }

  /** Tokens that were verified so far, once it has ended. */
  get tokens() {
    return this.#count - this.#from;
  }

  text(bytes, from, to) {
    const at = from + this.#dialect.kindAt;
    const kind = bytes[at] * 256 + bytes[at + 1];
    if (this.#dialect.isNumbered) this.#event(kind, bytes, from, to);
    else if (kind === tokenKind) {
      this.frames++;
      this.contentBytes += to - from - this.#overhead;
    } else if (kind === startKind) {
      this.started++;
      this.#overhead = overheadBytes(this.#dialect, idCharsOf(this.#dialect, bytes, from, to));
    } else if (kind === endKind) this.#onEnd(this.#mistake());
    else this.#onEnd(`an unexpected frame: ${bytes.toString('utf8', from, Math.min(to, from + 200))}`);
  }

  #event(kind, bytes, from, to) {
    const end = from + this.#dialect.kindAt + textDelta;
    // `output_text.delta` alone has an `a` there, and a quote behind it.
    if (kind === events.text && bytes[end - 1] === letterA && bytes[end] === quote) {
      this.frames++;
      this.contentBytes += to - from - this.#overhead - numberChars(bytes, to);
    } else if (kind === events.created) this.started++;
    else if (kind === events.completed && bytes[from + this.#dialect.kindAt + 2] === 'm'.charCodeAt(0))
      this.#onEnd(this.#mistake());
  }

  #mistake() {
    const wanted = contentBytes(this.#count) - contentBytes(this.#from);
    if (this.started !== 1) return `${this.started} starts`;
    if (this.contentBytes !== wanted)
      return `${this.contentBytes} bytes of content in ${this.frames} frames in place of ${wanted} in ${this.tokens}`;
    return this.frames > this.tokens ? `${this.frames} frames for ${this.tokens} tokens` : undefined;
  }
}

/** Digits before the brace that ends an event. */
function numberChars(bytes, to) {
  let at = to - 2;
  while (bytes[at] >= digits.from && bytes[at] <= digits.to) at--;
  return to - 2 - at;
}

/** The same for a stream that others join. */
export class JoinedStream extends CountedStream {
  streamId;
  /** Resolves when `streamId` is known, or when the stream has ended without it. */
  begun;
  /** Resolves at the first token, or at the end. */
  spoken;
  #dialect;
  #onBegun;
  #onSpoken;

  constructor(dialect, count, onEnd, from) {
    super(
      dialect,
      count,
      (mistake) => {
        this.#onBegun();
        this.#onSpoken();
        onEnd(mistake);
      },
      from,
    );
    this.#dialect = dialect;
    this.begun = new Promise((resolve) => {
      this.#onBegun = resolve;
    });
    this.spoken = new Promise((resolve) => {
      this.#onSpoken = resolve;
    });
  }

  text(bytes, from, to) {
    super.text(bytes, from, to);
    if (this.frames === 1) this.#onSpoken();
    if (this.started !== 1 || this.streamId) return;
    this.streamId = this.#dialect.read(bytes.toString('utf8', from, to)).streamId;
    this.#onBegun();
  }
}

/** The same as `CountedStream` with the time until the first token. */
export class TimedStream extends CountedStream {
  firstUs;
  #askedMs = performance.now();

  text(bytes, from, to) {
    super.text(bytes, from, to);
    if (this.frames === 1) this.firstUs ??= (performance.now() - this.#askedMs) * 1000;
  }
}

/** The same as `CountedStream` with every frame parsed and the text compared. */
export class ExactStream {
  frames = 0;
  #text = '';
  #started = false;
  #dialect;
  #count;
  #onEnd;

  constructor(dialect, count, onEnd) {
    this.#dialect = dialect;
    this.#count = count;
    this.#onEnd = onEnd;
  }

  get tokens() {
    return this.#count;
  }

  text(bytes, from, to) {
    const frame = this.#dialect.read(bytes.toString('utf8', from, to));
    if (frame.type === 'streaming_token' && this.#started) {
      this.frames++;
      this.#text += frame.content;
    } else if (frame.type === 'streaming_start' && !this.#started) this.#started = true;
    else if (frame.type === 'streaming_end')
      this.#onEnd(this.#text === textOf(this.#count) ? undefined : 'the text is not what was sent');
    else if (frame.type !== 'ignored')
      this.#onEnd(`an unexpected frame: ${JSON.stringify(frame).slice(0, 200)}`);
  }
}

/** What the mock of Ollama sends, read directly. */
export class StampedLines {
  frames = 0;
  lateUs = [];
  gapsUs = [];
  firstUs;
  #askedUs = nowUs();
  #lastUs;
  #count;
  #onEnd;

  constructor(_, count, onEnd) {
    this.#count = count;
    this.#onEnd = onEnd;
  }

  get tokens() {
    return this.#count;
  }

  text(bytes, from) {
    const at = from + lineContentAt;
    if (bytes[at] === quote)
      return this.#onEnd(
        this.frames === this.#count ? undefined : `${this.frames} lines for ${this.#count} tokens`,
      );
    const now = nowUs();
    if (this.#lastUs === undefined) this.firstUs = now - this.#askedUs;
    if (++this.frames > settledTokens) {
      this.lateUs.push(now - Number(bytes.latin1Slice(at, at + 16)));
      this.gapsUs.push(now - this.#lastUs);
    }
    this.#lastUs = now;
  }
}

/** For streams whose tokens say when they were sent. */
export class StampedStream {
  frames = 0;
  lateUs = [];
  gapsUs = [];
  firstUs;
  #askedUs = nowUs();
  #lastUs;
  #dialect;
  #count;
  #onEnd;
  #contentAt;

  constructor(dialect, count, onEnd) {
    this.#dialect = dialect;
    this.#count = count;
    this.#onEnd = onEnd;
    this.#contentAt = contentAt(dialect);
  }

  get tokens() {
    return this.#count;
  }

  text(bytes, from, to) {
    const at = from + this.#dialect.kindAt;
    const kind = bytes[at] * 256 + bytes[at + 1];
    if (kind === tokenKind) {
      const now = nowUs();
      if (this.#lastUs === undefined) this.firstUs = now - this.#askedUs;
      if (++this.frames > settledTokens) {
        const at = from + this.#contentAt;
        this.lateUs.push(now - Number(bytes.latin1Slice(at, at + 16)));
        this.gapsUs.push(now - this.#lastUs);
      }
      this.#lastUs = now;
    } else if (kind === endKind)
      this.#onEnd(
        this.frames === this.#count ? undefined : `${this.frames} frames for ${this.#count} tokens`,
      );
    else if (kind === startKind)
      this.#contentAt = contentAt(this.#dialect, idCharsOf(this.#dialect, bytes, from, to));
    else this.#onEnd(`an unexpected frame: ${bytes.toString('utf8', from, Math.min(to, from + 200))}`);
  }
}

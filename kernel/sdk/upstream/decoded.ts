import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import type { BodySink, ResponseBody, UpstreamResponse } from './response.js';

/** Makes the decoder for a body that begins with these bytes; none for a body that is not compressed. */
type DecoderFor = (head: Uint8Array) => Transform | undefined;

/**
 * Decoder for the body of a response; undefined without a coding, `unknown` for an unknown one. The first bytes of a body take
 * precedence over its header: some servers send `gzip` with a body that a proxy has decompressed, or `deflate` for either kind.
 */
export function decoderFor({ headers }: UpstreamResponse): DecoderFor | 'unknown' | undefined {
  const coding = headers['content-encoding'];
  if (coding === undefined) return undefined;
  const names = coding.toLowerCase().split(',');
  const codings = names.map((name) => name.trim()).filter((name) => name !== '' && name !== 'identity');
  if (codings.length === 0) return undefined;
  const key = codings.join();
  return (Object.hasOwn(decoders, key) && decoders[key]) || 'unknown';
}

const decoders: Readonly<Record<string, DecoderFor>> = {
  gzip: gunzip,
  'x-gzip': gunzip,
  deflate: (head) => gunzip(head) ?? (isWrapped(head) ? createInflate() : createInflateRaw()),
  br: (head) => (isJsonOrEvents(head) ? undefined : createBrotliDecompress()),
};

/** A decompressed body. */
export class DecodedBody implements ResponseBody, BodySink {
  readonly #body: ResponseBody;
  readonly #decoderFor: DecoderFor;
  #sink: BodySink | undefined;
  #hasBegun = false;
  #decoder: Transform | undefined;
  #isPaused = false;

  constructor(body: ResponseBody, decoderFor: DecoderFor) {
    this.#body = body;
    this.#decoderFor = decoderFor;
  }

  read(sink: BodySink): void {
    this.#sink = sink;
    this.#body.read(this);
  }

  pause(): void {
    this.#isPaused = true;
    (this.#decoder ?? this.#body).pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#decoder) return void this.#body.resume();
    this.#decoder.read();
    if (!this.#isPaused) this.#decoder.resume();
  }

  onBytes(bytes: Uint8Array): void {
    if (!this.#sink) return;
    if (!this.#hasBegun) this.#begin(bytes);
    const decoder = this.#decoder;
    if (!decoder) this.#sink.onBytes(bytes);
    else if (!decoder.write(Buffer.from(bytes))) {
      this.#body.pause();
      decoder.once('drain', () => this.#body.resume());
    }
  }

  onEnd(): void {
    if (this.#decoder) this.#decoder.end();
    else this.#finish();
  }

  onError(error: Error): void {
    this.#finish(error);
  }

  /** Ends the decoder; a reader that has not seen the end gets `error`. */
  close(error: Error): void {
    this.#finish(error);
  }

  #finish(error?: Error): void {
    this.#decoder?.destroy();
    const sink = this.#sink;
    this.#sink = undefined;
    if (error) sink?.onError(error);
    else sink?.onEnd();
  }

  #begin(head: Uint8Array): void {
    this.#hasBegun = true;
    this.#decoder = this.#decoderFor(head)
      ?.on('data', (bytes: Uint8Array) => this.#sink?.onBytes(bytes))
      .on('end', () => this.#finish())
      .on('error', (error) => this.#finish(error));
    if (this.#isPaused) this.#decoder?.pause();
  }
}

function gunzip([first, second]: Uint8Array): Transform | undefined {
  return first === 0x1f && (second === 0x8b || second === undefined) ? createGunzip() : undefined;
}

function isWrapped([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
}

function isJsonOrEvents(head: Uint8Array): boolean {
  return /^\s*(\{"|data:|event:|: )/.test(Buffer.from(head.subarray(0, 16)).toString('latin1'));
}

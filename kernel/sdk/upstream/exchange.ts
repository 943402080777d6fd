import { type AbortSource, type Cancellation, cancellationOf, signalOf } from '../cancellation.js';
import { DecodedBody, decoderFor } from './decoded.js';
import { aborted, ExchangeError } from './exchange-error.js';
import { faultInBody, faultOf } from './fault.js';
import type { Call, CallListener, HttpClient, Inquiry } from './http-client.js';
import { ModelError } from './pieces.js';
import type { ResponseBody, UpstreamResponse } from './response.js';
import { retryAfterMs } from './retry-after.js';

/** Limits of one exchange. */
export interface ExchangeLimits {
  /** Size limit of a body that is not streamed. */
  readonly bodyLimitBytes: number;
  /** Called when a connection is established. */
  readonly onConnected?: () => void;
}

// Time for the end of a response to follow its last line, so that the connection can be reused.
const lingerMs = 250;

/**
 * One request to a model server with its response; also several, one after the other. An abort of the signal closes the
 * connection at once.
 */
export class Exchange {
  readonly #client: HttpClient;
  readonly #limits: ExchangeLimits;
  readonly #source: AbortSource;
  readonly #cancellation: Cancellation;
  #sent: Sent | undefined;
  #decoded: DecodedBody | undefined;
  #isAborted = false;

  constructor(client: HttpClient, limits: ExchangeLimits, source: AbortSource) {
    this.#client = client;
    this.#limits = limits;
    this.#source = source;
    this.#cancellation = cancellationOf(source);
  }

  /** Resolves with the head of the response; `body` and `text` read the rest. @throws ExchangeError, also for redirects */
  send(url: URL, inquiry: Inquiry = {}): Promise<UpstreamResponse> {
    return new Promise((resolve, reject) => {
      this.#throwIfAborted();
      this.#sent = new Sent(this.#cancellation, this.#limits, resolve, reject);
      this.#sent.begin(this.#client, url, inquiry);
    });
  }

  /** The body, decompressed. @throws ExchangeError */
  body(response: UpstreamResponse): ResponseBody {
    const decoder = decoderFor(response);
    if (decoder === undefined) return response;
    if (decoder === 'unknown')
      throw new ExchangeError('ENCODING', 'its answer is compressed in an unknown way');
    this.#decoded = new DecodedBody(response, decoder);
    return this.#decoded;
  }

  /** The error in a response with a status of 400 or more. @throws ExchangeError */
  async refusal(response: UpstreamResponse, model?: string): Promise<ModelError> {
    const { statusCode: answered, headers } = response;
    // The status counts even where the body is lost or too long.
    const body = await this.text(response).catch(() => '');
    this.#throwIfAborted();
    const { message, code, status } = body.trim() === '' ? faultOf(`status ${answered}`) : faultInBody(body);
    return new ModelError(message, {
      code,
      // Servers that relay the error of another server use 500 for everything.
      status: answered === 500 ? (status ?? answered) : answered,
      model,
      retryAfterMs: retryAfterMs(headers),
    });
  }

  /** The whole body, within the limit, decompressed. @throws ExchangeError */
  text(response: UpstreamResponse): Promise<string> {
    return new Promise<string>((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      this.body(response).read({
        onBytes: (chunk) => {
          bytes += chunk.length;
          if (bytes <= this.#limits.bodyLimitBytes) chunks.push(Buffer.from(chunk));
          else reject(new ExchangeError('TOO_LARGE', 'its answer is too large'));
        },
        onEnd: () => resolve(Buffer.concat(chunks).toString()),
        onError: reject,
      });
    }).catch((error) => {
      // Nobody reads the rest.
      this.#stop();
      throw error;
    });
  }

  /** Closes the connection at once. Waits for the response and its body fail. */
  abort(): void {
    this.#isAborted = true;
    this.#stop();
  }

  /**
   * Ends the exchange. A complete response returns its connection to the pool; otherwise the promise resolves when the
   * connection is closed, or when the rest of an answer that is `over` has followed.
   */
  close(over: boolean): Promise<void> | undefined {
    const sent = this.#sent;
    this.#decoded?.close(aborted());
    if (!sent) return undefined;
    if (over || sent.isOver) sent.discard();
    return sent.isOver ? undefined : sent.end(over);
  }

  #stop(): void {
    this.#sent?.abort();
    // The response may be complete and not yet decoded.
    this.#decoded?.close(aborted());
  }

  #throwIfAborted(): void {
    if (this.#cancellation.isAborted()) signalOf(this.#source)?.throwIfAborted();
    if (this.#isAborted) throw aborted();
  }
}

/** A request under way, and the promise of its response. */
class Sent implements CallListener {
  readonly #cancellation: Cancellation;
  readonly #limits: ExchangeLimits;
  readonly #resolve: (response: UpstreamResponse) => void;
  readonly #reject: (error: Error) => void;
  #call: Call | undefined;
  #onEnded: (() => void) | undefined;

  constructor(
    cancellation: Cancellation,
    limits: ExchangeLimits,
    resolve: (response: UpstreamResponse) => void,
    reject: (error: Error) => void,
  ) {
    this.#cancellation = cancellation;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get isOver(): boolean {
    return this.#call?.isOver ?? true;
  }

  begin(client: HttpClient, url: URL, inquiry: Inquiry): void {
    this.#call = client.send(url, inquiry, this);
    this.#cancellation.onAbort(this.abort);
  }

  // A function of its own, so that it can be a listener.
  readonly abort = (): void => this.#call?.abort();

  discard(): void {
    this.#call?.discard();
  }

  /** Resolves when the call is over: at once, or within `lingerMs` where its answer is. */
  async end(over: boolean): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#onEnded = resolve;
    });
    if (!over) this.abort();
    const timer = over ? setTimeout(() => this.abort(), lingerMs) : undefined;
    await ended;
    clearTimeout(timer);
  }

  onConnected(): void {
    this.#limits.onConnected?.();
  }

  onResponse(response: UpstreamResponse): void {
    const { statusCode: status } = response;
    if (status < 300 || status >= 400) return void this.#resolve(response);
    this.#reject(new ExchangeError('REDIRECT', `it redirects (status ${status})`));
    this.#call?.abort();
  }

  onFailure(error: Error): void {
    this.#reject(error);
  }

  onOver(): void {
    this.#cancellation.offAbort(this.abort);
    this.#onEnded?.();
  }
}

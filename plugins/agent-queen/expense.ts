import type { Reservation, Usage } from '#kernel';
import type { Batch } from './batch.js';

/** Bytes of text per token, on average. */
const bytesPerToken = 4;

/** The tokens of one reply or request for embeddings: reserved before it, counted meanwhile, settled at its end. */
export class Expense {
  readonly #reservation: Reservation;
  readonly #reserved: number;
  readonly #inputBytes: number;
  /** As the agents have told. */
  #told = 0;
  /** Whether a model has read the request and has not told its usage. */
  #isUntold = false;
  #pieces = 0;

  constructor(reservation: Reservation, reserved: number, inputBytes: number) {
    this.#reservation = reservation;
    this.#reserved = reserved;
    this.#inputBytes = inputBytes;
  }

  /** An agent is asked. */
  begins(): void {
    this.#isUntold = true;
  }

  /** The agent has failed without an answer. */
  fails(): void {
    this.#isUntold = false;
  }

  counts(chunks: Batch): void {
    for (const chunk of chunks)
      if (chunk.type === 'done') this.tells(chunk.usage);
      else if (!('content' in chunk) || chunk.content !== '') this.#pieces++;
  }

  /** Gives back what was not used. Later calls do nothing. */
  settle(): void {
    this.#reservation.settle(this.#told + (this.#isUntold ? this.#estimate : 0));
  }

  /** An agent has told its usage, if it is valid. */
  tells({ inputTokens, outputTokens }: Partial<Usage> = {}): void {
    // An agent of a third party may tell anything.
    const tokens = Number(inputTokens) + Number(outputTokens);
    if (!Number.isFinite(tokens) || tokens < 0) return;
    this.#told += tokens;
    this.#isUntold = false;
  }

  get #estimate(): number {
    return Math.min(this.#reserved, Math.ceil(this.#inputBytes / bytesPerToken) + this.#pieces);
  }
}

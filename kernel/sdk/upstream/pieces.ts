import type { StreamChunk } from '../../contracts/agent.js';
import type { Fault } from './fault.js';

/** Result of one read of an answer. A piece is a line, an event, or another unit of the server's stream. */
export interface Pieces<Piece> {
  readonly values: readonly Piece[];
  /** The error after `values`, which are valid. */
  readonly error?: Error;
}

/** An answer, pulled one read at a time. `BodyPieces` is one. */
export interface PieceSource<Piece> {
  /** Calls the listener once: at once with what has already come. */
  pull(listener: PieceListener<Piece>): void;
  /** Stops reading. */
  stop(): void;
}

/** Takes one read of an answer. */
export interface PieceListener<Piece> {
  /** The pieces of one read, perhaps none, because any read feeds the watchdog. */
  onPieces(pieces: Pieces<Piece>): void;
  /** The answer has ended. */
  onEnd(): void;
  /** The connection was lost. */
  onError(error: Error): void;
}

/** Splits the bytes of one answer into pieces. */
export interface PieceSplitter<Piece> {
  /** The pieces that `bytes` completes. The bytes are valid only during the call; copy any that are kept. */
  push(bytes: Uint8Array): Pieces<Piece>;
  /** The last pieces, after the end of the body. */
  end(): Pieces<Piece>;
}

/** Turns the pieces of one answer into chunks. */
export interface PieceReader<Piece> {
  /** Whether `done` was added. Later pieces are not read. */
  readonly over: boolean;
  /** Adds the chunks of `piece` to `chunks`. @throws PieceError, ModelError, IncompleteError */
  read(piece: Piece, chunks: StreamChunk[]): void;
  /** Called at the end of an answer without `done`: the last chance to add it. @throws PieceError, ModelError, IncompleteError */
  end?(chunks: StreamChunk[]): void;
}

/** A malformed piece. The message is shown to clients. */
export class PieceError extends Error {
  override readonly name = 'PieceError';
}

/** An answer without a regular end. The message is shown to clients. */
export class IncompleteError extends Error {
  override readonly name = 'IncompleteError';
}

/** Details of an error that a model server has reported. */
export interface ModelErrorInfo {
  /** The server's codes: `model_not_found invalid_request_error`. */
  readonly code?: string | undefined;
  /** Status of the response, or in the error itself. */
  readonly status?: number | undefined;
  /** The requested model. */
  readonly model?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** An error that the model server has reported, instead of an answer or in the middle of one. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  constructor(
    message: string,
    readonly info: ModelErrorInfo = {},
  ) {
    super(message);
  }
}

/** The error for a fault within an answer with a 2xx status. */
export function modelError({ message, code, status }: Fault): ModelError {
  return new ModelError(message, { code, status });
}

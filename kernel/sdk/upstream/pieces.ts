import type { StreamChunk } from '../../contracts/agent.js';
import type { Fault } from './fault.js';

/** What one read of an answer gave: a piece is a line, an event, or whatever else the model server sends one by one. */
export interface Pieces<Piece> {
  readonly values: readonly Piece[];
  /** What was wrong after `values`. Those count. */
  readonly error?: Error;
}

/** An answer, pulled: each call gives all that one read has brought. `BodyPieces` is one. */
export interface PieceSource<Piece> {
  /** Perhaps no piece, for each read: that something comes feeds the watchdog. Undefined at the end. @throws what has become of the connection */
  next(): Promise<Pieces<Piece> | undefined>;
  /** Nobody pulls any more. */
  stop(): void;
}

/** Cuts the bytes of one answer into pieces. */
export interface PieceSplitter<Piece> {
  /** All pieces that `bytes` completes. */
  push(bytes: Uint8Array): Pieces<Piece>;
  /** Nothing more will come. */
  end(): Pieces<Piece>;
}

/** Turns the pieces of one answer into chunks. */
export interface PieceReader<Piece> {
  /** Whether `done` was given. No piece after it is read. */
  readonly over: boolean;
  /** Adds the chunks of `piece` to `chunks`. @throws PieceError, ModelError, IncompleteError */
  read(piece: Piece, chunks: StreamChunk[]): void;
  /** The answer has ended, and `done` was not given: the last chance to give it. @throws PieceError, ModelError, IncompleteError */
  end?(chunks: StreamChunk[]): void;
}

/** A piece that cannot be read. The message is shown to clients. */
export class PieceError extends Error {
  override readonly name = 'PieceError';
}

/** The answer has ended, but not as a whole one does. The message is shown to clients. */
export class IncompleteError extends Error {
  override readonly name = 'IncompleteError';
}

/** What is known of an error of a model server, besides its text. */
export interface ModelErrorInfo {
  /** In the server's words: `model_not_found invalid_request_error`. */
  readonly code?: string | undefined;
  /** The status of the answer that was refused, or that the error names. */
  readonly status?: number | undefined;
  /** Which model was asked for. */
  readonly model?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** What the model server reported as an error: in place of an answer, or in the middle of one. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  constructor(
    message: string,
    readonly info: ModelErrorInfo = {},
  ) {
    super(message);
  }
}

/** The same in an answer of which the status was good. */
export function modelError({ message, code, status }: Fault): ModelError {
  return new ModelError(message, { code, status });
}

import type { StreamChunk } from '../agent.js';

/** What one read of an answer gave: a piece is a line, an event, or whatever else the model server sends one by one. */
export interface Pieces<Piece> {
  readonly values: readonly Piece[];
  /** What was wrong after `values`. Those count. */
  readonly error?: Error;
}

/** An answer, pulled: each call gives all that one read has brought. `BodyPieces` is one. */
export interface PieceSource<Piece> {
  /** Undefined at the end. @throws what has become of the connection */
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
  /** Adds the chunks of `piece` to `chunks`. @throws PieceError, ModelError */
  read(piece: Piece, chunks: StreamChunk[]): void;
  /** The answer has ended, and `done` was not given: the last chance to give it. @throws PieceError */
  end?(chunks: StreamChunk[]): void;
}

/** A piece that cannot be read. The message is shown to clients. */
export class PieceError extends Error {
  override readonly name = 'PieceError';
}

/** What the model server reported as an error, in the middle of its answer. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

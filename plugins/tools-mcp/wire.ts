import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client';

/** News of the wire of a connection. */
export interface WireEvents {
  /** The message as it is passed on. */
  received(message: JSONRPCMessage): JSONRPCMessage;
  /** The server can no longer be heard, though no request has failed yet. */
  lost(why: string): void;
}

/** The bytes of one connection: over HTTP, or over the pipes of a process. */
export interface Wire extends Transport {
  /** Resolves when nothing of it is left. */
  close(): Promise<void>;
}

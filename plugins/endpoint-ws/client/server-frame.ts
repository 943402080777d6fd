import type { Answer } from './types.js';

/** A frame from the server. Its fields depend on its type; unknown ones are ignored. */
export interface ServerFrame {
  readonly type: string;
  readonly streamId?: string;
  readonly taskId?: string;
  readonly requestId?: string;
  readonly agent?: string;
  readonly conversationId?: string;
  readonly content?: string;
  readonly position?: number;
  readonly id?: string;
  readonly name?: string;
  readonly arguments?: unknown;
  readonly argumentsText?: string;
  readonly reason?: string;
  readonly usage?: Answer['usage'];
  readonly timings?: Answer['timings'];
  readonly upstreamClosedMs?: number;
  readonly code?: string;
  readonly message?: string;
  readonly retryAfterMs?: number;
  readonly ahead?: number;
  readonly progress?: unknown;
  readonly output?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly executor?: 'server' | 'client';
  readonly durationMs?: number;
  readonly expiresInMs?: number;
  readonly allow?: boolean;
  readonly by?: string;
  readonly via?: 'consult' | 'handover';
  readonly state?: 'started' | 'ended' | 'failed';
  readonly parent?: string;
  readonly stopped?: { readonly agents: number; readonly tools: number };
  readonly unstopped?: readonly string[];
}

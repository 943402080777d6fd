// The page is JavaScript; its types are checked where it is, and here only what tests call.
declare module '*/page/blocks.js' {
  export class Blocks {
    readonly open: string;
    push(text: string): string[];
  }
  export function openFence(text: string): string | undefined;
}

declare module '*/page/bounded-lexer.js' {
  export function timeFor(chars: number): number;
}

declare module '*/page/dialect.js' {
  export function blocksOf(source: string, until: number): readonly unknown[];
  export function htmlOf(source: string, until: number): { readonly html: string; readonly isWhole: boolean };
}

declare module '*/page/conversations.js' {
  interface Message {
    readonly role: 'user' | 'assistant';
    readonly content: string;
  }
  export class Conversations {
    readonly entries: readonly { readonly id: string; readonly title: string; readonly known?: number }[];
    messages(id: string): readonly Message[];
    keep(id: string, messages: readonly Message[]): void;
    merge(
      listed: readonly {
        readonly id: string;
        readonly title: string;
        readonly updatedAt: number;
        readonly known: number;
      }[],
    ): void;
    follow(listed: Parameters<Conversations['merge']>[0], openId?: string): void;
    remove(id: string): void;
  }
  export function titleOf(text: string): string;
}

declare module '*/page/figures.js' {
  export function duration(ms: number): string;
  export function milliseconds(ms: number): string;
  export function bytes(value: number): string;
}

declare module '*/page/plain-words.js' {
  export function inWords(ms: number): string;
  export function inPlainWords(error: {
    readonly code?: string;
    readonly message?: string;
    readonly retryAfterMs?: number;
  }): string;
}

declare module '*/page/steps.js' {
  interface Step {
    readonly type: 'call' | 'agent';
    readonly at: number;
    readonly agent?: string;
    readonly state?: string;
    readonly nested?: boolean;
    input?: string;
    readonly output?: string;
  }
  interface Answer {
    readonly role: 'user' | 'assistant';
    content: string;
    agent?: string;
    readonly steps?: Step[];
    readonly pending?: object;
  }
  interface Chunk {
    readonly type: string;
    readonly [field: string]: unknown;
  }
  export function noteStep(message: Answer, chunk: Chunk): Step | undefined;
  export function progressOf(messages: readonly Answer[]): string;
  export function wasHandedOver(message: Answer): boolean;
  export function shortened(messages: readonly Answer[]): readonly Answer[];
  export function cut(text: string, chars: number): string;
}

declare module '*/page/stored-answers.js' {
  interface Message {
    readonly role: 'user' | 'assistant';
    readonly content: string;
    readonly lost?: boolean;
    readonly stopped?: boolean;
    readonly error?: object;
  }
  export function answersOf(
    stored: readonly {
      readonly role: string;
      readonly content: unknown;
      readonly end?: unknown;
      readonly [field: string]: unknown;
    }[],
  ): readonly Message[];
  export function merged(found: Message[], shown: Message[]): Message[];
}

declare module '*/page/approval-view.js' {
  export function decisionOf(
    question: { readonly until: number; readonly allow?: boolean; readonly by?: string },
    who: (by: string) => string,
  ): string;
}

declare module '*/page/agent-line.js' {
  export function inWords(
    step: {
      readonly agent: string;
      readonly via: string;
      readonly state: string;
      readonly parent: string;
      readonly nested?: boolean;
    },
    isLive: boolean,
  ): string;
}

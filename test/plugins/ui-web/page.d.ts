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
    follow(listed: Parameters<Conversations['merge']>[0]): void;
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

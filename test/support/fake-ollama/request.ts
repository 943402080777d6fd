import { Refusal } from './refusal.js';

/** What a request to generate asks for. */
export interface GenerationRequest {
  readonly model: string;
  readonly think: boolean | string | undefined;
  readonly toolNames: readonly string[];
  /** The last message is the result of a tool. */
  readonly afterTool: boolean;
  readonly promptTokens: number;
}

interface Body {
  readonly model?: string;
  readonly stream?: boolean;
  readonly think?: boolean | string;
  readonly messages?: readonly { readonly role?: string; readonly content?: unknown }[];
  readonly tools?: readonly { readonly function?: { readonly name?: string } }[];
}

/** Reads a request body. @throws Refusal */
export function readRequest(text: string): GenerationRequest {
  const { model = '', think, messages = [], tools = [] } = bodyOf(text);
  if (model === '') throw new Refusal(400, 'model is required');
  return {
    model,
    think,
    toolNames: tools.map((tool) => tool.function?.name ?? ''),
    afterTool: messages.at(-1)?.role === 'tool',
    promptTokens: Math.ceil(messages.map(({ content }) => String(content ?? '')).join(' ').length / 4),
  };
}

function bodyOf(text: string): Body {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'unexpected EOF');
  }
}

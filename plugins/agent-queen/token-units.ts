import type { ChatMessage, ChatOptions } from '#kernel';

/** The size of a request, in what its tokens depend on. */
export interface TokenUnits {
  /** UTF-8 bytes of texts, calls and tools: tokenizers work on bytes. */
  bytes: number;
  messages: number;
  images: number;
}

/** The most bytes of an attachment that count; model servers turn them into text or pictures. */
const attachmentLimitBytes = 32_768;
/** Bytes that a template adds to a call or a tool, such as quotation marks. */
const formBytes = 16;

export function noUnits(): TokenUnits {
  return { bytes: 0, messages: 0, images: 0 };
}

/** Adds the units of options. */
export function addOptionUnits(units: TokenUnits, { tools, toolChoice }: ChatOptions): void {
  if (tools && toolChoice !== 'none')
    for (const tool of tools) units.bytes += Buffer.byteLength(JSON.stringify(tool)) + formBytes;
}

/** Adds the units of a message. */
export function addUnits(units: TokenUnits, message: ChatMessage): void {
  const { content, images, parts, thinking, toolCalls } = message;
  units.messages++;
  units.bytes += Buffer.byteLength(content);
  if (thinking) units.bytes += Buffer.byteLength(thinking);
  if (toolCalls)
    for (const { name, arguments: args } of toolCalls)
      units.bytes += Buffer.byteLength(args) + name.length + formBytes;
  if (parts) {
    for (const part of parts)
      if (part.type === 'image') units.images++;
      else if (part.type === 'other')
        units.bytes += Math.min(attachmentLimitBytes, Buffer.byteLength(JSON.stringify(part.value)));
  } else if (images) units.images += images.length;
}

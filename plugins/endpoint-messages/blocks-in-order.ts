import type { ToolCall } from '#kernel';

/** Writes blocks one after the other. */
export interface BlockWriter {
  start(block: NewBlock): void;
  /** The next part of the block that has started. */
  part(type: NewBlock['type'], text: string): void;
  stop(type: NewBlock['type']): void;
}

/** The beginning of a block. */
export type NewBlock =
  | { readonly type: 'text' | 'thinking' }
  | { readonly type: 'call'; readonly call: ToolCall };

interface Waiting {
  readonly block: NewBlock;
  /** The index of its call. */
  readonly index: number | undefined;
  text: string;
  isOver: boolean;
}

/**
 * Puts the parts of an answer into blocks that do not overlap: clients read them in turn. Whatever comes while a call is
 * open waits for its end.
 */
export class BlocksInOrder {
  readonly #writer: BlockWriter;
  /** The first one is being written. */
  #blocks: Waiting[] = [];

  constructor(writer: BlockWriter) {
    this.#writer = writer;
  }

  say(type: 'text' | 'thinking', content: string): void {
    const last = this.#blocks.at(-1);
    if (last?.block.type === type) this.#add(last, content);
    else this.#begin({ type }, undefined, content);
  }

  call(index: number, call: ToolCall): void {
    this.#begin({ type: 'call', call }, index, call.arguments);
  }

  callPart(index: number, text: string): void {
    const block = this.#find(index);
    if (block) this.#add(block, text);
  }

  callEnd(index: number): void {
    const block = this.#find(index);
    if (!block) return;
    block.isOver = true;
    this.#advance();
  }

  /** Ends all blocks. */
  end(): void {
    for (const block of this.#blocks) block.isOver = true;
    this.#advance();
  }

  #find(index: number): Waiting | undefined {
    return this.#blocks.find((block) => block.index === index);
  }

  #begin(block: NewBlock, index: number | undefined, text: string): void {
    // Text and thinking end where something else begins.
    const last = this.#blocks.at(-1);
    if (last && last.index === undefined) last.isOver = true;
    this.#blocks.push({ block, index, text, isOver: false });
    if (this.#blocks.length === 1) this.#start();
    else this.#advance();
  }

  #add(block: Waiting, text: string): void {
    if (text === '') return;
    if (block === this.#blocks[0]) this.#writer.part(block.block.type, text);
    else block.text += text;
  }

  /** Ends the first block if it is over, and starts the next. */
  #advance(): void {
    while (this.#blocks[0]?.isOver) {
      this.#writer.stop(this.#blocks[0].block.type);
      this.#blocks.shift();
      this.#start();
    }
  }

  #start(): void {
    const [first] = this.#blocks;
    if (!first) return;
    this.#writer.start(first.block);
    if (first.text !== '') this.#writer.part(first.block.type, first.text);
    first.text = '';
  }
}

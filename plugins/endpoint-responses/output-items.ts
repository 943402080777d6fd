import type { Logprob, ToolCall } from '#kernel';
import { customInput } from './messages.js';

type Status = 'in_progress' | 'completed' | 'incomplete';

/** An item of the output, as it is and as it grows. */
export interface OutputItem {
  readonly id: string;
  /** Its place in the output. */
  readonly index: number;
  /** The item as clients get it. */
  object(status: Status): object;
}

/** Text of the answer. */
export class MessageItem implements OutputItem {
  readonly id: string;
  readonly index: number;
  readonly texts: string[] = [];
  readonly logprobs: Logprob[] = [];

  constructor(response: string, index: number) {
    this.id = `msg_${response}_${index}`;
    this.index = index;
  }

  get text(): string {
    return this.texts.join('');
  }

  get part(): object {
    return { type: 'output_text', text: this.text, annotations: [], logprobs: this.logprobs };
  }

  object(status: Status): object {
    const content = status === 'in_progress' && this.texts.length === 0 ? [] : [this.part];
    return { id: this.id, type: 'message', status, role: 'assistant', content };
  }
}

/** The thinking of the model: as it is, or in the place of a summary where one was asked for. */
export class ReasoningItem implements OutputItem {
  readonly id: string;
  readonly index: number;
  readonly isSummary: boolean;
  readonly texts: string[] = [];

  constructor(response: string, index: number, isSummary: boolean) {
    this.id = `rs_${response}_${index}`;
    this.index = index;
    this.isSummary = isSummary;
  }

  get text(): string {
    return this.texts.join('');
  }

  get part(): object {
    return { type: this.isSummary ? 'summary_text' : 'reasoning_text', text: this.text };
  }

  object(): object {
    const parts = this.texts.length === 0 ? [] : [this.part];
    const { id, isSummary } = this;
    return { id, type: 'reasoning', summary: isSummary ? parts : [], ...(!isSummary && { content: parts }) };
  }
}

/** A call of a function, or of a custom tool, whose input is text. */
export class CallItem implements OutputItem {
  readonly id: string;
  readonly index: number;
  readonly isCustom: boolean;
  readonly callId: string;
  readonly name: string;
  args = '';

  constructor(response: string, index: number, { id: callId, name }: ToolCall, isCustom: boolean) {
    this.id = `${isCustom ? 'ctc' : 'fc'}_${response}_${index}`;
    this.index = index;
    this.callId = callId;
    this.name = name;
    this.isCustom = isCustom;
  }

  /** The text that a custom tool gets. */
  get input(): string {
    try {
      const { [customInput]: input } = JSON.parse(this.args);
      return typeof input === 'string' ? input : this.args;
    } catch {
      return this.args;
    }
  }

  object(status: Status): object {
    const { id, callId: call_id, name } = this;
    const isBegun = status === 'in_progress';
    if (this.isCustom)
      return { id, type: 'custom_tool_call', status, call_id, name, input: isBegun ? '' : this.input };
    return { id, type: 'function_call', status, call_id, name, arguments: isBegun ? '' : this.args };
  }
}

import type { ChatMessage, StreamChunk, ToolCall, ToolDefinition } from '#kernel';
import { checkedChunks } from './batch.js';
import type { Position } from './queen-call.js';
import { toolNameOf } from './tool-name.js';
import type { ServerTool, Toolbox } from './toolbox.js';

/** A call with the tool of this server that it means; without one it is for the client. */
export interface Called {
  readonly call: ToolCall;
  readonly tool: ServerTool | undefined;
}

type Done = Extract<StreamChunk, { type: 'done' }>;

/** One turn of a model. */
export class ModelTurn {
  readonly #toolbox: Toolbox;
  readonly #own: readonly ToolDefinition[];
  readonly #from: Position;
  /** Calls in the order of the model. Those for a client that does not answer them end the answer. */
  readonly calls: Called[] = [];
  isForClient = false;
  done: Done | undefined;
  hasBegun = false;
  #text = '';
  #thinking = '';

  constructor(toolbox: Toolbox, own: readonly ToolDefinition[], from: Position) {
    this.#toolbox = toolbox;
    this.#own = own;
    this.#from = from;
  }

  /** The part that goes to the reader at once. */
  take(pulled: StreamChunk | readonly StreamChunk[]): readonly StreamChunk[] {
    const chunks = checkedChunks(pulled, this.#from.agent, []);
    const passed: StreamChunk[] = [];
    for (const chunk of chunks) if (this.#takes(chunk)) passed.push(chunk);
    return passed;
  }

  /** The turn as a message for the model. */
  told(calls: readonly Called[]): readonly ChatMessage[] {
    const thinking = this.#thinking === '' ? {} : { thinking: this.#thinking };
    const toolCalls = calls.map(({ call: { id, name, arguments: args, extra } }) => ({
      ...{ id, name: toolNameOf(name), arguments: args },
      ...(extra && { extra }),
    }));
    return [{ role: 'assistant', content: this.#text, ...thinking, toolCalls }];
  }

  /** Whether the reader gets it now. */
  #takes(chunk: StreamChunk): boolean {
    if (chunk.type === 'done') {
      this.done = chunk;
      return false;
    }
    this.hasBegun = true;
    switch (chunk.type) {
      case 'text':
        this.#text += chunk.content;
        return true;
      case 'thinking':
        this.#thinking += chunk.content;
        return true;
      case 'tool_call':
        return this.#from.run.isAwaited(chunk) || this.#calls(chunk);
      case 'tool_call_piece':
        return chunk.executor === 'server' || this.#ends(chunk.name);
      default:
        return true;
    }
  }

  #calls(call: ToolCall): boolean {
    const ends = this.#ends(call.name);
    if (ends) this.isForClient = true;
    const tool = this.#isTheirs(call.name) ? undefined : (this.#find(call.name) ?? unknownTool(call.name));
    this.calls.push({ call, tool });
    return ends;
  }

  /** Whether a call of it ends the answer: of a client that does not answer it, or of an agent that uses this one. */
  #ends(name: string): boolean {
    const { awaitsToolResults, clientTools } = this.#from.run;
    return this.#isTheirs(name) && !(awaitsToolResults && clientTools.has(name));
  }

  /** Whether the client has to run it, or an agent that uses this one and has tools of its own. */
  #isTheirs(name: string): boolean {
    return !this.#find(name) && (this.#own.length > 0 || this.#toolbox.size === 0);
  }

  #find(name: string): ServerTool | undefined {
    return this.#from.run.clientTools.has(name) ? undefined : this.#toolbox.find(name);
  }
}

/** A tool that a model has made up. */
function unknownTool(name: string): ServerTool {
  return { definition: { name }, name, kind: 'task', asks: false };
}

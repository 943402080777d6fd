import type { Agent, AgentCall, ChatRequest, StreamChunk, ToolCall } from '#kernel';

/** One turn of a scripted model: its chunks without `done`, which follows. */
export type Turn = readonly (StreamChunk | readonly StreamChunk[])[];

export const say = (content: string): StreamChunk => ({ type: 'text', content });

let calls = 0;
/** A tool call; `args` may be a text that is no JSON. */
export const use = (
  name: string,
  args: object | string = {},
  id = `c${++calls}`,
): StreamChunk & ToolCall => ({
  type: 'tool_call',
  id,
  name,
  arguments: typeof args === 'string' ? args : JSON.stringify(args),
});

/** An agent whose turns follow a script, or a function of the request. */
export class ScriptedModel implements Agent {
  readonly name: string;
  readonly description?: string;
  readonly requests: ChatRequest[] = [];
  readonly calls: AgentCall[] = [];
  /** Turns that have begun and not ended. */
  running = 0;
  /** Like a model server that knows its models. */
  capabilities?: Agent['capabilities'];
  turn: (request: ChatRequest, call: AgentCall) => Turn | AsyncIterable<StreamChunk | readonly StreamChunk[]>;

  constructor(name: string, script: readonly Turn[] | ScriptedModel['turn'], description?: string) {
    this.name = name;
    if (description) this.description = description;
    let at = 0;
    this.turn =
      typeof script === 'function' ? script : () => script[Math.min(at++, script.length - 1)] as Turn;
  }

  async *generateResponseStream(request: ChatRequest, call: AgentCall) {
    this.requests.push(structuredClone(request));
    this.calls.push(call);
    this.running++;
    try {
      let calls = 0;
      for await (const step of this.turn(request, call)) {
        for (const chunk of [step].flat()) if (chunk.type === 'tool_call') calls++;
        yield step;
      }
      const reason = calls > 0 ? 'tool_calls' : 'stop';
      yield { type: 'done' as const, reason, usage: { inputTokens: 10, outputTokens: 1 } };
    } finally {
      this.running--;
    }
  }
}

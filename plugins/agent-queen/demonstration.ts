import type { Agent, Capability, ChatRequest, StreamChunk } from '#kernel';

const notice =
  'This is a demonstration, not a model: no model server could be reached. Start one, or say in the configuration where it runs.';

/** Decides when demonstration agents may answer. */
export class Demonstration {
  /** Whether a model server has been reached. */
  isOver = false;

  /** Records a healthy agent. Once a real model was reached, no demonstration hides a failure. */
  reached(agent: Agent): void {
    if (!agent.demo) this.isOver = true;
  }

  mayAnswer(needs: readonly Capability[]): boolean {
    return !this.isOver && needs.length === 0;
  }
}

/** Notice before the answer of a demonstration agent that the request has not named. */
export function noticeOf(agent: Agent, request: ChatRequest): StreamChunk {
  return { type: 'text', content: `${agent.demoNotice?.(request) ?? notice}\n\n` };
}

import type { Agent, ChatRequest, StreamChunk } from '#kernel';
import { needsOf } from './failures.js';

const notice =
  'This is a demonstration, not a model: no model server could be reached. Start one, or say in the configuration where it runs.';

/** When agents may answer that only show how answers come. */
export class Demonstration {
  /** A model server was there. */
  isOver = false;

  /** An agent is well: from the first model on no failure is covered up. */
  reached(agent: Agent): void {
    if (!agent.demo) this.isOver = true;
  }

  mayAnswer(request: ChatRequest): boolean {
    return !this.isOver && needsOf(request).length === 0;
  }
}

/** What such an agent says first where it was not asked for by name. */
export function noticeOf(agent: Agent, request: ChatRequest): StreamChunk {
  return { type: 'text', content: `${agent.demoNotice?.(request) ?? notice}\n\n` };
}

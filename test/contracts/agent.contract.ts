import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Agent, ChatRequest, StreamChunk } from '#kernel';
import { chunksOf } from '#sdk';
import { agentCall } from '../support/agents.js';

export interface AgentSubject {
  readonly agent: Agent;
  /** A request that is answered with at least two chunks of text. */
  readonly request: ChatRequest;
  /** A request whose answer takes so long that it can be aborted in the middle. */
  readonly slowRequest: ChatRequest;
  dispose(): void | Promise<void>;
}

const logger = pino({ level: 'silent' });

/** Everything that the contract `Agent` promises, for any implementation. */
export function agentContract(name: string, create: () => Promise<AgentSubject>): void {
  describe(`${name} keeps the Agent contract`, () => {
    const using = async (use: (subject: AgentSubject) => Promise<void>) => {
      const subject = await create();
      try {
        await use(subject);
      } finally {
        await subject.dispose();
      }
    };
    const collect = async (agent: Agent, request: ChatRequest, signal = new AbortController().signal) => {
      const chunks: StreamChunk[] = [];
      for await (const batch of agent.generateResponseStream(request, agentCall({ signal, logger })))
        chunks.push(...chunksOf(batch));
      return chunks;
    };

    it('yields text and exactly one done, last', () =>
      using(async ({ agent, request }) => {
        const chunks = await collect(agent, request);
        expect(chunks.filter((chunk) => chunk.type === 'text').length).toBeGreaterThanOrEqual(2);
        expect(chunks.filter((chunk) => chunk.type === 'done')).toHaveLength(1);
        expect(chunks.at(-1)?.type).toBe('done');
      }));

    it('yields only chunks of the contract, none of them empty', () =>
      using(async ({ agent, request }) => {
        for (const chunk of await collect(agent, request)) {
          expect(['text', 'thinking', 'tool_call', 'done']).toContain(chunk.type);
          if (chunk.type === 'text') expect(chunk.content).not.toBe('');
        }
      }));

    it('does not change the request', () =>
      using(async ({ agent, request }) => {
        const before = structuredClone(request);
        await collect(agent, request);
        expect(request).toEqual(before);
      }));

    it('answers two requests at the same time', () =>
      using(async ({ agent, request }) => {
        const [one, two] = await Promise.all([collect(agent, request), collect(agent, request)]);
        const text = (chunks: readonly StreamChunk[]) => chunks.filter((chunk) => chunk.type === 'text');
        expect(text(one)).toEqual(text(two));
      }));

    it('ends when its signal aborts in the middle of an answer', () =>
      using(async ({ agent, slowRequest }) => {
        const abort = new AbortController();
        const stream = agent.generateResponseStream(slowRequest, agentCall({ signal: abort.signal, logger }));
        await expect(
          (async () => {
            for await (const _ of stream) abort.abort();
          })(),
        ).rejects.toThrow();
      }));

    it('does not begin when its signal has aborted before', () =>
      using(async ({ agent, request }) => {
        await expect(collect(agent, request, AbortSignal.abort())).rejects.toThrow();
      }));

    it('can be left in the middle and asked again', () =>
      using(async ({ agent, request, slowRequest }) => {
        const { signal } = new AbortController();
        for await (const _ of agent.generateResponseStream(slowRequest, agentCall({ signal, logger }))) break;
        expect((await collect(agent, request)).at(-1)?.type).toBe('done');
      }));

    it('tells its health, or has no such method', () =>
      using(async ({ agent }) => {
        const health = (await agent.health?.(new AbortController().signal)) ?? { healthy: true };
        expect(health.healthy).toBe(true);
      }));
  });
}

import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { config } from '../../../plugins/agent-eliza/config.js';
import { Eliza } from '../../../plugins/agent-eliza/eliza.js';
import { respond } from '../../../plugins/agent-eliza/respond.js';
import { agentContract } from '../../contracts/agent.contract.js';
import { agentCall } from '../../support/agents.js';

const ask = (content: string) => ({ id: 'q', messages: [{ role: 'user' as const, content }] });

agentContract('agent-eliza', async () => ({
  agent: new Eliza(config.parse({ wordDelayMs: 1 })),
  request: ask('Hallo'),
  slowRequest: ask('I feel lost'),
  dispose: () => {},
}));

describe('Eliza', () => {
  it.each([
    ['Hallo', /Hallo|Guten Tag/],
    ['Guten Abend!', /Hallo|Guten Tag/],
    ['Hello there', /Hello|Hi there/],
    ['Ich bin müde.', /müde/],
    ['I am tired.', /tired/],
    ['I need my coffee', /your coffee/],
    ['Warum?', /\?$/],
    ['Wer bist du?', /Eliza/],
    ['Who are you?', /Eliza/],
  ])('answers %j in its language', (text, answer) => {
    expect(respond(text, 1, 1)).toMatch(answer);
  });

  it('says the same thing for the same seed, and other things for others', () => {
    const answers = Array.from({ length: 50 }, (_, seed) => respond('Tell me something', 1, seed));
    expect(new Set(answers).size).toBeGreaterThan(1);
    expect(respond('Tell me something', 1, 7)).toBe(respond('Tell me something', 1, 7));
  });

  it('answers anything with at least two words, and leaves no gap open', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (text, seed) => {
        const answer = respond(text, 1, seed);
        expect(answer.split(' ').length).toBeGreaterThan(1);
        expect(text.includes('$1') || !answer.includes('$1')).toBe(true);
      }),
    );
  });

  it('collects its stream into a whole answer', async () => {
    const eliza = new Eliza(config.parse({ wordDelayMs: 0 }));
    const call = agentCall({ signal: new AbortController().signal, logger: pino({ level: 'silent' }) });
    const { content, reason, usage } = await eliza.generateResponse(ask('Hallo'), call);
    expect(content).toBe(respond('Hallo', 1, 1));
    expect(reason).toBe('stop');
    expect(usage?.outputTokens).toBe(content.split(' ').length);
  });
});

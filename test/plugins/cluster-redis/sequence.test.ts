import { describe, expect, it } from 'vitest';
import { Keys } from '../../../plugins/cluster-redis/keys.js';
import { Sequence } from '../../../plugins/cluster-redis/sequence.js';
import { silentLogger } from '../../support/kernel.js';

/** A sequence that begins at 10, and what its follower is told. */
function begun() {
  const sequence = new Sequence(new Keys('w', 0), { run: async () => '11' }, silentLogger);
  sequence.look(10);
  const told: unknown[] = [];
  sequence.follow('t', {
    message: (seq, body) => void told.push([seq, body]),
    missing: (from, to) => void told.push(`${from}-${to}`),
  });
  return { sequence, told, hear: (...message: unknown[]) => sequence.receive(JSON.stringify(message)) };
}

describe('messages to all in order', () => {
  it('are heard once, those of the topic', () => {
    const { sequence, told, hear } = begun();
    hear(10, 15, 't', 'a');
    hear(10, 15, 't', 'a');
    hear(15, 20, 'other', 'b');
    hear(20, 21, 't', 'c');
    expect(told).toEqual([
      [15, 'a'],
      [21, 'c'],
    ]);
    expect(sequence.reached).toBe(21);
  });

  it('that do not come are missing, and not heard later', () => {
    const { told, hear } = begun();
    hear(15, 20, 't', 'b');
    hear(10, 15, 't', 'a');
    expect(told).toEqual(['11-15', [20, 'b']]);
  });

  it('of which the last does not come are missing at the second look that shows it', () => {
    const { sequence, told, hear } = begun();
    sequence.look(15);
    expect(told).toEqual([]);
    sequence.look(20);
    expect(told).toEqual(['11-15']);
    hear(15, 20, 't', 'b');
    sequence.look(20);
    sequence.look(20);
    expect(told).toEqual(['11-15', [20, 'b']]);
  });

  it('go on after the engine has lost its numbers, and nobody knows what was in between', () => {
    const { sequence, told, hear } = begun();
    sequence.look(0);
    sequence.look(0);
    hear(0, 15, 't', 'a');
    expect(told).toEqual(['11-14', [15, 'a']]);
  });

  it.each(['', 'x', '[]', '[1,2,"t"]', '["1",2,"t",0]', '[1,1e400,"t",0]', '[1,2,3,4]', '{}'])(
    'are not %j, which no node wrote',
    (text) => {
      const { sequence, told } = begun();
      expect(sequence.receive(text)).toBe(false);
      expect(told).toEqual([]);
    },
  );

  it('have a limit', async () => {
    const { sequence } = begun();
    await expect(sequence.send('t', 'x'.repeat(1_000_000))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(await sequence.send('t', 'x')).toBe(11);
  });
});

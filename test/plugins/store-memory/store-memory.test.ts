import { describe, expect, it } from 'vitest';
import { config } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { conversationStoreContract } from '../../contracts/conversation-store.contract.js';

conversationStoreContract('store-memory', async (limits) => new MemoryStore(config.parse(limits)));

describe('store-memory', () => {
  const turn = [{ role: 'user' as const, content: 'x'.repeat(10) }];
  const key = (id: number) => ({ userId: 'ann', conversationId: `c${id}` });

  it('forgets what was not used for its time to live', async () => {
    let now = 0;
    const store = new MemoryStore(config.parse({ timeToLiveMs: 100 }), () => now);
    await store.append(key(1), turn);
    now = 99;
    expect(await store.read(key(1))).toHaveLength(1);
    now = 250;
    expect(await store.read(key(1))).toEqual([]);
    expect(store.size).toBe(0);
  });

  it('stays within its total, however many conversations come', async () => {
    const store = new MemoryStore(config.parse({ totalLimitChars: 1000 }));
    for (let id = 0; id < 10_000; id++) await store.append(key(id), turn);
    expect(store.size).toBe(100);
    expect(await store.read(key(9999))).toEqual(turn);
  });
});

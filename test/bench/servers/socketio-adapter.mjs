/** The way between several servers of Socket.IO, where `ADAPTER` asks for one. */
export async function adapterOf({ ADAPTER, REDIS_PORT }) {
  if (!ADAPTER) return {};
  const { createClient } = await import('redis');
  const client = createClient({ url: `redis://127.0.0.1:${REDIS_PORT}` });
  await client.connect();
  if (ADAPTER === 'streams') {
    const { createAdapter } = await import('@socket.io/redis-streams-adapter');
    return { adapter: createAdapter(client) };
  }
  const { createAdapter } = await import('@socket.io/redis-adapter');
  const subscriber = client.duplicate();
  await subscriber.connect();
  return { adapter: createAdapter(client, subscriber) };
}

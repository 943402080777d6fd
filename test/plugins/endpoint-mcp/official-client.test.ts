import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { expect, it } from 'vitest';
import endpointMcp from '../../../plugins/endpoint-mcp/index.js';
import { startHive } from '../../support/hive.js';

it.each(['auto', 'legacy'] as const)(
  'the official client, negotiating as in %s, asks an agent',
  async (mode) => {
    const hive = await startHive({
      plugins: [endpointMcp],
      config: { 'endpoint-mcp': { agents: ['eliza'] } },
    });
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${hive.url}/mcp`)));
    expect(client.getProtocolEra()).toBe(mode === 'auto' ? 'modern' : 'legacy');
    const { content } = await client.callTool({ name: 'ask_eliza', arguments: { question: 'Hello' } });
    expect(content).toEqual([{ type: 'text', text: expect.stringMatching(/\w+/) }]);
    await client.close();
    await hive.close();
  },
);

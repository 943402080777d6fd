import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { onTestFinished } from 'vitest';

/** How the official client is connected. */
export interface McpClientOptions {
  readonly era: 'modern' | 'legacy';
  readonly headers?: Readonly<Record<string, string>>;
  readonly listChanged?: () => void;
}

/** The official client at a server; it is closed with the test. */
export async function mcpClient(url: string, { era, headers = {}, listChanged }: McpClientOptions) {
  const client = new Client(
    { name: 'test', version: '1' },
    {
      versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' },
      ...(listChanged && {
        listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: listChanged } },
      }),
    },
  );
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } });
  await client.connect(transport);
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await transport.terminateSession().catch(() => {});
    await client.close();
  };
  onTestFinished(close);
  const textOf = (result: Awaited<ReturnType<Client['callTool']>>) =>
    result.content.map((block) => (block.type === 'text' ? block.text : block.type)).join('\n');
  return {
    client,
    transport,
    close,
    names: async () => (await client.listTools()).tools.map(({ name }) => name),
    /** The text of a result, with `error: ` before that of a failure. */
    call: async (name: string, args: Record<string, unknown> = {}, options = {}) => {
      const result = await client.callTool({ name, arguments: args }, options);
      return `${result.isError ? 'error: ' : ''}${textOf(result)}`;
    },
  };
}

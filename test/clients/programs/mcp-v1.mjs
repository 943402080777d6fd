// The former official client of the Model Context Protocol, which knows the older era only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { run } from './cases.mjs';

async function connected(url, work) {
  const client = new Client({ name: 'v1', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`));
  await client.connect(transport);
  try {
    return await work(client, transport);
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}

const textOf = ({ content, isError = false }) => [isError, ...content.map(({ text }) => text)];

await run({
  list: (url) =>
    connected(url, async (client, { sessionId }) => {
      const { tools } = await client.listTools();
      return [tools.map(({ name, inputSchema }) => [name, inputSchema.type]), typeof sessionId];
    }),
  'a task': (url) =>
    connected(url, async (client) => {
      const args = { name: 'text_count', arguments: { text: 'to be or not' } };
      const seen = [];
      const result = await client.callTool(args, undefined, {
        onprogress: (progress) => seen.push(progress),
      });
      return [...textOf(result), seen];
    }),
  'an agent': (url) =>
    connected(url, async (client) => {
      const result = await client.callTool({ name: 'ask_eliza', arguments: { question: 'Hello' } });
      const [isError, text] = textOf(result);
      return [isError, text.length > 0];
    }),
  'a mistake': (url) =>
    connected(url, async (client) => textOf(await client.callTool({ name: 'text_count', arguments: {} }))),
  'a cancel': (url) =>
    connected(url, async (client) => {
      const abort = new AbortController();
      const onprogress = () => abort.abort(new Error('enough'));
      const args = { name: 'text_wait', arguments: {} };
      const failed = await client
        .callTool(args, undefined, { signal: abort.signal, onprogress })
        .catch(String);
      for (;;) {
        const { figures } = await (await fetch(`${url}/tasks`)).json();
        if (figures.running === 0) return [failed, figures.cancelled];
      }
    }),
});

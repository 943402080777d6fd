import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempFolder } from '../support/kernel.js';
import { answerIn, roundsOf, type ScriptTurn } from '../support/model-script.js';
import { example } from '../support/pages.js';
import { type Seen, startScriptedServer } from '../support/scripted-server.js';
import { startServer } from '../support/server.js';
import { outline } from '../support/tool-hive.js';
import { type Frame, textOf, WsClient } from '../support/ws-client.js';

async function startOllama(turnOf: (request: Seen) => ScriptTurn) {
  const models = await startScriptedServer((request) => answerIn('ollama', turnOf(request)));
  onTestFinished(() => models.close());
  return models;
}

async function ask(ws: string, content: string): Promise<readonly Frame[]> {
  const client = await WsClient.connect(`${ws}/ann`);
  const frames = await client.ask({ content, conversationId: 'desk' });
  await client.close();
  return frames;
}

describe('the page about tools', () => {
  it('shows a tool in 15 lines, and a config that lets models call it', async () => {
    const name = 'extensions/tool-count.js';
    const ollama = await startOllama((request) =>
      roundsOf(request) > 0
        ? { text: `It has ${request.body.messages.at(-1).content}.` }
        : { calls: [{ name: 'text_count', args: '{"text":"abcde"}' }] },
    );
    const server = await startServer({
      config: example('tools.yaml'),
      files: { [name]: example(name) },
      env: { OLLAMA_HOST: ollama.url, OLLAMA_MODEL: 'm' },
    });
    expect(outline(await ask(server.ws, 'How long is abcde?'))).toEqual([
      'start',
      'tool_call text:count',
      'tool_result text:count',
      'token It ',
      'token has ',
      'token 5.',
      'end',
    ]);
    expect(await server.stop()).toBe(0);
  });

  it('shows a support desk by config alone, whose conversations a restart keeps', async () => {
    // The system prompt tells who is asked.
    const ollama = await startOllama(({ body }) => {
      const [{ content: prompt }] = body.messages;
      const asked = body.messages.findLast(({ role }: { role: string }) => role === 'user').content;
      const results = body.messages.slice(
        body.messages.findLastIndex(({ role }: { role: string }) => role === 'user') + 1,
      );
      if (prompt.includes('invoices')) return { text: `Invoice desk: ${asked}` };
      if (results.length > 0) return { text: `They say: ${results.at(-1).content}` };
      if (asked === 'consult')
        return { calls: [{ name: 'consult_repairs', args: '{"question":"is it broken?"}' }] };
      if (asked === 'hand over') return { calls: [{ name: 'hand_over_to_billing', args: '{}' }] };
      return { text: `Front desk: ${asked}` };
    });
    const folder = tempFolder();
    const settings = {
      config: `${example('support-desk.yaml')}  store-memory: { enabled: false }\n  store-sqlite: { config: { path: ${JSON.stringify(join(folder.path, 'c.sqlite'))} } }\n`,
      env: { OLLAMA_HOST: ollama.url, OLLAMA_MODEL: 'm' },
    };
    expect(example('support-desk.yaml').trim().split('\n').length).toBeLessThanOrEqual(20);
    const server = await startServer(settings);
    expect(textOf(await ask(server.ws, 'hello'))).toBe('Front desk: hello');
    expect(textOf(await ask(server.ws, 'consult'))).toBe('They say: Front desk: is it broken?');
    expect(textOf(await ask(server.ws, 'where is my invoice'))).toBe('Invoice desk: where is my invoice');
    expect(textOf(await ask(server.ws, 'and now'))).toBe('Front desk: and now');
    const handed = await ask(server.ws, 'hand over');
    expect(textOf(handed)).toBe('Invoice desk: hand over');
    expect(handed.at(-1)).toMatchObject({ agent: 'billing' });
    expect(await server.stop()).toBe(0);

    const again = await startServer(settings);
    const next = await ask(again.ws, 'still here?');
    expect(next[0]).toMatchObject({ agent: 'billing' });
    expect(textOf(next)).toBe('Invoice desk: still here?');
    // The model gets all that was said, called and answered before.
    const said = ollama.chats
      .at(-1)
      ?.body.messages.map(({ role, content }: Record<string, string>) => [role, content]);
    expect(said).toEqual([
      ['system', expect.any(String)],
      ...[
        ['user', 'hello'],
        ['assistant', 'Front desk: hello'],
        ['user', 'consult'],
        ['assistant', ''],
        ['tool', 'Front desk: is it broken?'],
        ['assistant', 'They say: Front desk: is it broken?'],
        ['user', 'where is my invoice'],
        ['assistant', 'Invoice desk: where is my invoice'],
        ['user', 'and now'],
        ['assistant', 'Front desk: and now'],
        ['user', 'hand over'],
        ['assistant', ''],
        ['tool', 'done'],
        ['assistant', 'Invoice desk: hand over'],
        ['user', 'still here?'],
      ],
    ]);
    const stored = await (await fetch(`${again.url}/conversations/desk/messages?user_id=ann`)).json();
    expect(stored.messages.slice(3, 5)).toMatchObject([
      {
        ...{ role: 'assistant', content: '' },
        tool_calls: [
          { id: expect.any(String), name: 'consult_repairs', arguments: '{"question":"is it broken?"}' },
        ],
      },
      {
        ...{ role: 'tool', content: 'Front desk: is it broken?' },
        ...{ tool_call_id: stored.messages[3].tool_calls[0].id, tool_name: 'consult_repairs' },
      },
    ]);
    expect(stored.messages.at(-1)).toMatchObject({ agent: 'billing' });
    expect(await again.stop()).toBe(0);
  });
});

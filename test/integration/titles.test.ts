import { describe, expect, it } from 'vitest';
import type { ChatRequest } from '#kernel';
import { ConversationStore } from '#kernel';
import { eventually } from '../support/eventually.js';
import { ScriptedModel, say } from '../support/scripted-model.js';
import { ToolHive } from '../support/tool-hive.js';

const server = new ToolHive();
const isForTitle = ({ messages }: ChatRequest) =>
  messages[0]?.content.startsWith('Give the conversation') ?? false;

/** A model that names conversations so. */
const named = (title: string) =>
  new ScriptedModel('m', (request) => [say(isForTitle(request) ? title : 'Honey is made of nectar.')]);

async function talk(model: ScriptedModel, queen: object) {
  await server.start([model], [], { tools: [], ...queen });
  const client = await server.client();
  await client.ask({ content: 'What is honey?', conversationId: 'k' });
  const listed = async () =>
    (await server.hive.kernel.get(ConversationStore).list('ann', { limit: 9 }))[0]?.title;
  return { client, listed };
}

describe('a title', () => {
  it.each([
    ['a plain one', 'About honey', 'About honey'],
    ['one in quotes', '"About honey."', 'About honey'],
    ['one with more behind it', '\n**About honey**\n\nIt is about…', 'About honey'],
    ['a long one', 'x'.repeat(200), `${'x'.repeat(79)}…`],
    ['none', '""', 'What is honey?'],
  ])('is given by the model that gave the first answer: %s', async (_, said, title) => {
    const model = named(said);
    const { client, listed } = await talk(model, { titles: true });
    await eventually(() => expect(model.requests.filter(isForTitle)).toHaveLength(1));
    await eventually(async () => expect(await listed()).toBe(title));
    expect(model.requests.find(isForTitle)?.messages[1]?.content).toBe(
      'user: What is honey?\n\nassistant: Honey is made of nectar.',
    );
    await client.ask({ content: 'And wax?', conversationId: 'k' });
    // Once, and no part of the conversation.
    expect(model.requests.filter(isForTitle)).toHaveLength(1);
    expect(model.requests.at(-1)?.messages).toHaveLength(3);
  });

  it('is the beginning of the question where that is not wanted', async () => {
    const model = named('About honey');
    const { listed } = await talk(model, {});
    expect(await listed()).toBe('What is honey?');
    expect(model.requests.filter(isForTitle)).toEqual([]);
  });
});

import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type EndpointDocs, serverFrames, type WebSocketEndpoint } from '#kernel';
import { asyncApi } from '../../../plugins/endpoint-docs/asyncapi.js';

// biome-ignore lint/suspicious/noExplicitAny: tests look into documents freely
type Json = any;

const docs: EndpointDocs = {
  summary: 'Bees that talk',
  description: 'In turns.',
  params: z.object({ bee: z.string().describe('Who talks') }),
  receives: { message: z.object({ content: z.string() }), ping: z.object({}) },
  sends: serverFrames,
};
const endpoint = (path: string, described?: EndpointDocs): WebSocketEndpoint => ({
  path,
  open: () => ({ message: () => {} }),
  ...(described && { docs: described }),
});
const document = (...endpoints: readonly WebSocketEndpoint[]): Json =>
  JSON.parse(JSON.stringify(asyncApi(endpoints, '1.2.3')));

function resolve(root: Json, pointer: string): Json {
  const parts = decodeURI(pointer).split('/').slice(1);
  return parts.reduce((at, part) => at?.[part.replaceAll('~1', '/').replaceAll('~0', '~')], root);
}

describe('an AsyncAPI document', () => {
  const made = document(endpoint('/hum/{bee}', docs), endpoint('/bare'));

  it('has what version 3 asks for', () => {
    expect(made.asyncapi).toBe('3.0.0');
    expect(made.info).toMatchObject({ title: 'Waggle', version: '1.2.3' });
    expect(made.channels['/hum/{bee}']).toMatchObject({
      address: '/hum/{bee}',
      summary: 'Bees that talk',
      description: 'In turns.',
      parameters: { bee: { description: 'Who talks' } },
    });
    expect(Object.values(made.operations).map(({ action }: Json) => action)).toEqual([
      'receive',
      'send',
      'receive',
      'send',
    ]);
  });

  it('refers to nothing but what is in it, and to every message', () => {
    for (const operation of Object.values<Json>(made.operations)) {
      const channel = resolve(made, operation.channel.$ref);
      const messages = operation.messages.map(({ $ref }: Json) => resolve(made, $ref));
      const own = Object.entries(channel.messages).filter(([key]) => key.startsWith(`${operation.action}.`));
      expect(messages).toEqual(own.map(([, message]) => message));
    }
  });

  it('tells frames of one type that go in different directions apart, and adds the type to each', () => {
    const { messages } = made.channels['/hum/{bee}'];
    expect(Object.keys(messages['receive.message'].payload.properties)).toEqual(['type', 'content']);
    expect(messages['receive.message'].payload.required).toEqual(['type', 'content']);
    expect(Object.keys(messages['send.message'].payload.properties)).toContain('conversationId');
    const ajv = new Ajv2020({ strict: true });
    for (const [key, { name, payload }] of Object.entries<Json>(messages)) {
      expect(key.endsWith(`.${name}`)).toBe(true);
      const validate = ajv.compile(payload);
      expect(validate({ type: 'another' })).toBe(false);
    }
  });

  it('lists an endpoint that describes nothing', () => {
    expect(made.channels['/bare']).toEqual({ address: '/bare', summary: 'Not described', messages: {} });
  });

  it('does not depend on the order of registration', () => {
    const [a, b] = [endpoint('/a'), endpoint('/b', docs)];
    expect(JSON.stringify(document(b, a))).toBe(JSON.stringify(document(a, b)));
  });
});

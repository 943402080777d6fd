import { pino } from 'pino';
import { streamsConfig as config } from '../../../kernel/sdk/streams/config.js';
import { LocalStreams } from '../../../kernel/sdk/streams/local-streams.js';
import { chatStreamsContract } from '../../contracts/chat-streams.contract.js';
import { createEngine } from '../../support/engine.js';

chatStreamsContract('streams-memory', (chat, limits, bus) => {
  const { engine, tasks } = createEngine({ workers: 0 });
  const streams = new LocalStreams(chat, engine, config.parse(limits), bus, pino({ level: 'silent' }));
  tasks.add(streams.task, 'test');
  return streams;
});

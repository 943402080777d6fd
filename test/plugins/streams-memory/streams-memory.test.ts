import { pino } from 'pino';
import { config } from '../../../plugins/streams-memory/config.js';
import { MemoryStreams } from '../../../plugins/streams-memory/memory-streams.js';
import { chatStreamsContract } from '../../contracts/chat-streams.contract.js';
import { createEngine } from '../../support/engine.js';

chatStreamsContract('streams-memory', (chat, limits, bus) => {
  const { engine, tasks } = createEngine({ workers: 0 });
  const streams = new MemoryStreams(chat, engine, config.parse(limits), bus, pino({ level: 'silent' }));
  tasks.add(streams.task, 'test');
  return streams;
});

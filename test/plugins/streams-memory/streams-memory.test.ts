import { pino } from 'pino';
import { config } from '../../../plugins/streams-memory/config.js';
import { MemoryStreams } from '../../../plugins/streams-memory/memory-streams.js';
import { chatStreamsContract } from '../../contracts/chat-streams.contract.js';

chatStreamsContract(
  'streams-memory',
  (chat, limits, bus) => new MemoryStreams(chat, config.parse(limits), bus, pino({ level: 'silent' })),
);

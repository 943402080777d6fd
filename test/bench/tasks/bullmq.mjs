/** BullMQ over its own client. */
import { Queue, Worker } from 'bullmq';
import { serveBullmq } from './serve-bullmq.mjs';

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };
await serveBullmq({ Queue, Worker }, { connection });

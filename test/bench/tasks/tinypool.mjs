import { Tinypool } from 'tinypool';
import { serveRuns } from './driver.mjs';

const filename = new URL('./spin.mjs', import.meta.url).href;
const pool = new Tinypool({ filename, minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 1 });
serveRuns((us) => pool.run(us));

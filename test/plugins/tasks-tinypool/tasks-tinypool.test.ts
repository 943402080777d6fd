import { taskEngineContract } from '../../contracts/task-engine.contract.js';
import { createEngine } from '../../support/engine.js';

taskEngineContract('tasks-tinypool', (limits) => createEngine({ workers: 2, ...limits }));
taskEngineContract('tasks-tinypool without threads', (limits) => createEngine({ workers: 0, ...limits }));

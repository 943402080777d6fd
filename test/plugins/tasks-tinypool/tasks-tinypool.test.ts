import { taskEngineContract } from '../../contracts/task-engine.contract.js';

taskEngineContract('tasks-tinypool', { workers: 2 });
taskEngineContract('tasks-tinypool without threads', { workers: 0 });

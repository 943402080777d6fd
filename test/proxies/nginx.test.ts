import { behindProxy } from './contract.js';

behindProxy('nginx');

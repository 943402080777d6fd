import { behindProxy } from './contract.js';

behindProxy('caddy');

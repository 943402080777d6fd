import plugin from '../../../plugins/transport-node/index.js';
import { keepAliveContract } from '../../contracts/keep-alive.contract.js';

keepAliveContract('transport-node', plugin);

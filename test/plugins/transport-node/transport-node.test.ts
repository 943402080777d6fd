import plugin from '../../../plugins/transport-node/index.js';
import { transportContract } from '../../contracts/transport.contract.js';

transportContract('transport-node', plugin);

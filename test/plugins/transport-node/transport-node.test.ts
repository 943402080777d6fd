import plugin from '../../../plugins/transport-node/index.js';
import { transportContract } from '../../contracts/transport/index.js';

transportContract('transport-node', plugin);

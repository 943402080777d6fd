import plugin from '../../../plugins/transport-node/index.js';
import { compressedBodiesContract } from '../../contracts/compressed-bodies.contract.js';

compressedBodiesContract('transport-node', plugin);

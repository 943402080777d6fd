import plugin from '../../../plugins/transport-uws/index.js';
import { compressedBodiesContract } from '../../contracts/compressed-bodies.contract.js';

compressedBodiesContract('transport-uws', plugin);

import plugin from '../../../plugins/transport-node/index.js';
import { transportContract } from '../../contracts/transport/index.js';

const built = new URL('../../../dist/plugins/transport-node/index.js', import.meta.url).href;
transportContract('transport-node', plugin, built);

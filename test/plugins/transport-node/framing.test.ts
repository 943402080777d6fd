import plugin from '../../../plugins/transport-node/index.js';
import { framingContract } from '../../contracts/framing.contract.js';

framingContract('transport-node', plugin);

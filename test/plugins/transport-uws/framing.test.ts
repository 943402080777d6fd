import plugin from '../../../plugins/transport-uws/index.js';
import { framingContract } from '../../contracts/framing.contract.js';

framingContract('transport-uws', plugin);

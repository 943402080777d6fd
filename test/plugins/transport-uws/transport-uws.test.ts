import plugin from '../../../plugins/transport-uws/index.js';
import { transportContract } from '../../contracts/transport.contract.js';

transportContract('transport-uws', plugin);

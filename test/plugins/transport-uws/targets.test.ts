import plugin from '../../../plugins/transport-uws/index.js';
import { targetsContract } from '../../contracts/targets.contract.js';

targetsContract('transport-uws', plugin);
